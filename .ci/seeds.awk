# Reads the output of `go test -v -run '^Fuzz'` and fails when a fuzz target ran
# without a single seed: it would pass for ever and test nothing. Counting what
# ran, and not f.Add in the source, also catches a loop over an empty list.
$1 == "===" && $2 == "RUN" && $3 ~ /^Fuzz/ {
	split($3, part, "/")
	key = part[1]
	if (!(key in seeds)) seeds[key] = 0
	if (part[2] != "") seeds[key]++
}
$1 == "ok" { # the end of one package; targets of equal name in two packages stay apart
	for (key in seeds) {
		targets++
		total += seeds[key]
		if (seeds[key] == 0) { print $2 "." key " has no seeds"; bad = 1 }
	}
	delete seeds
}
$1 == "FAIL" || $1 == "---" && $2 == "FAIL:" || /^panic:/ { print; bad = 1 }
END {
	print targets + 0 " fuzz targets ran on " total + 0 " seeds"
	if (!targets) { print "no fuzz target found: this check is blind"; bad = 1 }
	exit bad
}
