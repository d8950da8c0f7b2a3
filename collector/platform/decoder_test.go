package platform_test

import (
	"testing"

	"livebox-agent/collector/platform"
)

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		decoder                 platform.Decoder
		object, method, variant string
		want                    bool
	}{
		{"same object", platform.Decoder{Object: "NMC", Method: "get"}, "NMC", "get", "", true},
		{"other object", platform.Decoder{Object: "NMC", Method: "get"}, "NMD", "get", "", false},
		{"object below", platform.Decoder{Object: "NMC", Method: "get"}, "NMC.Wifi", "get", "", false},
		{"object above", platform.Decoder{Object: "NMC.Wifi", Method: "get"}, "NMC", "get", "", false},
		{"other method", platform.Decoder{Object: "NMC", Method: "get"}, "NMC", "getWANStatus", "", false},
		{"any interface", platform.Decoder{Object: "NeMo.Intf.*", Method: "getMIBs", Variant: "gpon"}, "NeMo.Intf.veip0", "getMIBs", "gpon", true},
		{"other variant", platform.Decoder{Object: "NeMo.Intf.*", Method: "getMIBs", Variant: "gpon"}, "NeMo.Intf.veip0", "getMIBs", "wlan", false},
		{"no interface", platform.Decoder{Object: "NeMo.Intf.*", Method: "get"}, "NeMo.Intf.", "get", "", false},
		{"star is one part only", platform.Decoder{Object: "NeMo.*", Method: "get"}, "NeMo.Intf.veip0", "get", "", false},
		{"star in the middle", platform.Decoder{Object: "network.*.wan", Method: "status"}, "network.interface.wan", "status", "", true},
		{"no object", platform.Decoder{Object: "NMC", Method: "get"}, "", "get", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.decoder.Matches(tt.object, tt.method, tt.variant); got != tt.want {
				t.Errorf("Matches(%q, %q, %q) of %q = %v; want %v", tt.object, tt.method, tt.variant, tt.decoder.Object, got, tt.want)
			}
		})
	}
}
