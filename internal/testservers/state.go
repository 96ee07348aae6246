package testservers

import (
	"bytes"
	"fmt"
	"os"
)

// state returns the letter of proc(5) for the state of a process. The name
// before it may hold spaces and brackets, so the last bracket counts.
func state(pid int) (byte, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return 0, fmt.Errorf("process %d: no state in %q", pid, stat)
	}
	return stat[i+2], nil
}
