package main

import (
	"strings"
	"testing"
)

func TestSamplesSaysWhatWasRead(t *testing.T) {
	const dir = "../../samples/testdata/"
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{dir + "good"}, exitOK, "15 files"},
		{[]string{"--readings", dir + "good"}, exitOK, "-18.250 dB[mW]"},
		{[]string{dir + "nothing"}, exitFailure, "NOTHING"},
		{nil, exitUsage, ""},
		{[]string{dir + "missing"}, exitFailure, ""},
	} {
		code, out, text := output(t, nil, append([]string{"samples"}, tt.args...)...)
		if code != tt.code || !strings.Contains(out, tt.want) || (text == "") != (code == exitOK) {
			t.Errorf("samples %v: exit status %d, message %q, output\n%s\nwant %d, %q", tt.args, code, text, out, tt.code, tt.want)
		}
	}
}

func TestPlatformsInBothForms(t *testing.T) {
	for want, args := range map[string][]string{"METRIC ": nil, "| radios.wlan | sysbus |": {"--markdown"}} {
		code, out, text := output(t, nil, append([]string{"platforms"}, args...)...)
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("platforms %v: exit status %d, message %q, output\n%s\nwant %q in it", args, code, text, out, want)
		}
	}
}
