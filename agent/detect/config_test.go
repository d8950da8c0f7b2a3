package detect

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"livebox-agent/collector/catalogue"
)

func TestDefaultsAreTheThresholdsOfTheCatalogue(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		got  float64
		want float64
		id   catalogue.ID
	}{
		{c.MarginStep, 3, catalogue.LineDownMargin},
		{c.AttenuationStep, 2, catalogue.LineUpAttenuation},
		{c.OpticalStep, 2, catalogue.OpticTxPower},
		{c.NoiseStep, 6, catalogue.RadioNoise},
		{c.TemperatureStep, 8, catalogue.OpticTemperature},
		{float64(c.Hot), 100, catalogue.SensorTemperature},
		{float64(c.WeakSignal), catalogue.WeakSignal, catalogue.StationSignal},
	} {
		if tt.got != tt.want {
			t.Errorf("%v is the default; want %v", tt.got, tt.want)
		}
		if catalogue.LookupThreshold(tt.id).Source == "" {
			t.Errorf("the catalogue has no threshold of %d", tt.id)
		}
	}
}

// Every number of the configuration that is far off is reported by its key.
func TestEveryNumberIsChecked(t *testing.T) {
	numbers := 0
	for f := range reflect.TypeFor[Config]().Fields() {
		for _, far := range []float64{-1e9, 1e9, math.NaN()} {
			c := DefaultConfig()
			switch v := reflect.ValueOf(&c).Elem().FieldByIndex(f.Index); v.Kind() {
			case reflect.Float64:
				v.SetFloat(far)
			case reflect.Int, reflect.Int64:
				if far != far {
					continue
				}
				v.SetInt(int64(far) * int64(1+9*v.Type().Size()/8))
				if v.Type().Name() == "Duration" {
					v.SetInt(int64(far) * 36_000)
				}
			default:
				continue
			}
			numbers++
			if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), f.Tag.Get("toml")+": ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s = %v: %v", f.Name, far, err)
			}
		}
	}
	if numbers < 35 {
		t.Errorf("%d numbers were tried", numbers)
	}
}
