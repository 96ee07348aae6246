package captcha_test

import (
	"testing"

	"github.com/seed-244866eb/gatehouse/captcha"
	"github.com/seed-244866eb/gatehouse/internal/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Captcha(t, func(*testing.T) captcha.Store {
		return captcha.NewMemory(captcha.MemoryConfig{})
	})
}
