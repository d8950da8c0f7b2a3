package sensors

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/label"
)

func TestNoSensorIsReportedUnderAHardwareAddress(t *testing.T) {
	s, _ := tree{
		"class/hwmon/hwmon0/name":        "wlx3c22fb5a0001",
		"class/hwmon/hwmon0/temp1_input": "50000",
		// A customer's headset, and what hangs below it.
		"devices/hid-0cfc18e13005-battery/child/x": "",
		"class/hwmon/hwmon1/device":                "->../../../devices/hid-0cfc18e13005-battery/child",
		"class/hwmon/hwmon1/name":                  "battery",
		"class/hwmon/hwmon1/temp1_input":           "30000",
		"class/hwmon/hwmon2/name":                  "lm75",
		"class/hwmon/hwmon2/temp1_input":           "40000",
		"class/hwmon/hwmon2/temp1_label":           "mac 0011.2233.4455",
		"class/hwmon/hwmon2/temp2_input":           "41000",
		"class/hwmon/hwmon2/temp2_label":           "0c\x01fc\x0118\x01e1\x0130\x0105",
		"class/hwmon/hwmon001122334455/x":          "",
		"class/thermal/thermal_zone0/type":         "enx001122334455",
		"class/thermal/thermal_zone0/temp":         "60000",
		"class/thermal/thermal_zone1/type":         "cpu-thermal",
		"class/thermal/thermal_zone1/temp":         "61000",
	}.source(t)
	got, err := ask(t, s, 0)
	if err != nil || len(got) != 3 {
		t.Errorf("%v, %v; want the two of lm75 and the processor's", got, err)
	}
	for name := range got {
		if label.HasAddress(name) {
			t.Errorf("a reading of %q", name)
		}
	}
}

// What cannot be read is told by the name that the class gives it, which is
// where an address could hide.
func TestNoErrorHoldsAHardwareAddress(t *testing.T) {
	s, root := tree{"class/hwmon/x": ""}.source(t)
	for _, loop := range []string{"class/hwmon/hwmon001122334455", "class/thermal/thermal_zone001122334455"} {
		tree{loop + "/name": "->name", loop + "/type": "->type"}.write(t, root)
	}
	if _, err := ask(t, s, 0); err == nil || strings.Contains(err.Error(), "001122334455") {
		t.Errorf("%v; want an error without the address", err)
	}
	// Without such a name the same is told.
	tree{"class/hwmon/hwmon0/name": "->name"}.write(t, root)
	s.next = 0
	if _, err := ask(t, s, 0); !errors.Is(err, unix.ELOOP) {
		t.Errorf("%v; want that of a name that leads to itself", err)
	}
}
