package optics

import (
	"errors"
	"maps"
	"math"
	"testing"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// newExternal is an SFP whose registers are raw: at half of what they mean,
// with an offset.
func newExternal() image {
	x := newSFP(hasDiagnostics | external)
	x.put16(pageA2, 96, (40<<8-256)/2, (33000-100)/2, (6000-10)/2, (10000-50)/2, 90)
	x.putFloat(pageA2, 56, 0, 0, 0.01, 1.5, -16) // of the power received
	for _, c := range []struct{ at, offset int }{{76, 10}, {80, 50}, {84, 256}, {88, 100}} {
		x.put16(pageA2, c.at, 512, c.offset)
	}
	x.seal(pageA2, 0, 95)
	return x
}

// newQSFP is a QSFP of two lanes in use.
func newQSFP() image {
	x := image{}
	a0 := x.at(pageA0)
	a0[0] = qsfp28
	x.put16(pageA0, 22, 35<<8)
	x.put16(pageA0, 26, 33100)
	x.put16(pageA0, 34, 5012, 4000)
	x.put16(pageA0, 42, 3250, 3300)
	x.put16(pageA0, 50, 10000, 9000)
	a0[220] = 0x0c
	x.seal(pageA0, 128, 191)
	x.seal(pageA0, 192, 223)
	x.put16(page{base, 3}, 176, 21878, 446)
	x.put16(page{base, 3}, 192, 43652, 0)
	return x
}

// newCMIS is a module whose bias is in steps of four times 2 µA.
func newCMIS() image {
	x := image{}
	x.at(pageA0)[0] = qsfpDD
	x.put16(pageA0, 14, 50<<8|128, 33500)
	x.seal(pageA0, 128, 222)
	x.at(page{base, 1})[160] = monitorsBias | monitorsTx | monitorsRx | 2<<3
	x.seal(page{base, 1}, 130, 255)
	x.put16(page{base, 2}, 176, 31623, 1000)
	x.put16(page{base, 2}, 192, 25119, 500)
	x.seal(page{base, 2}, 128, 255)
	x.put16(page{base, 0x11}, 154, 12589, 0, 12589)
	x.put16(page{base, 0x11}, 170, 10000, 0, 9000)
	x.put16(page{base, 0x11}, 186, 7943, 0, 1)
	return x
}

// measureAll looks at x and returns what it measures.
func measureAll(t *testing.T, x image) (map[string]readings, error) {
	t.Helper()
	var b sample.Batch
	l, err := look(t.Context(), x)
	if err != nil {
		return nil, err
	}
	p := newPorts("p")
	p.b = &b
	var bytes [][]byte
	for _, s := range l.spans() {
		bytes = append(bytes, x.bytes(s))
	}
	err = l.measure(&p, bytes)
	check(t, &b)
	all := map[string]readings{}
	for _, r := range b.Readings {
		if all[r.Instance] == nil {
			all[r.Instance] = readingsOf(t, &b, r.Instance)
		}
	}
	return all, err
}

func measure(t *testing.T, what string, x image, want map[string]readings) {
	t.Helper()
	got, err := measureAll(t, x)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, port := range []string{"p", "p lane 1", "p lane 2", "p lane 3", "p lane 4", "p lane 8"} {
		expect(t, what+" "+port, got[port], want[port])
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d ports; want %d", what, len(got), len(want))
	}
}

func TestSFPThatCalibratesItself(t *testing.T) {
	measure(t, "SFP", newSFP(internal), map[string]readings{"p": sfpWant})
}

func TestSFPThatLeavesCalibrationToTheHost(t *testing.T) {
	// Received: 0.01·90² + 1.5·90 - 16 = 200 × 0.1 µW.
	measure(t, "SFP", newExternal(), map[string]readings{"p": {
		catalogue.OpticTemperature: 40000, catalogue.OpticVoltage: 33000, catalogue.OpticBias: 12000,
		catalogue.OpticTxPower: 0, catalogue.OpticRxPower: -16989,
		catalogue.OpticRxPowerHigh: 4390, catalogue.OpticTxPowerHigh: 8013, catalogue.OpticTxPowerLow: 32,
	}})
}

func TestConstantsThatMakeNoSenseGiveNoPower(t *testing.T) {
	for _, c := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -1e30, 1e30} {
		x := newExternal()
		x.putFloat(pageA2, 56, c, c, c, c, c)
		x.seal(pageA2, 0, 95)
		got, err := measureAll(t, x)
		if _, ok := got["p"][catalogue.OpticRxPower]; ok || err != nil || got["p"][catalogue.OpticVoltage] != 33000 {
			t.Errorf("with %v: %v, %v; want all but the power received", c, got["p"].byName(), err)
		}
	}
}

func TestSFPWhoseDiagnosticsCannotBeHad(t *testing.T) {
	for name, tt := range map[string]struct {
		x    image
		want error
	}{
		"no diagnostics":                     {newSFP(0), errNothing},
		"diagnostics behind a command":       {newSFP(internal | changeAddress), errNothing},
		"raw, and the constants are damaged": {damage(newExternal(), pageA2, 70), errDamaged},
		"base memory damaged":                {damage(newSFP(internal), pageA0, 40), errDamaged},
		"extended memory damaged":            {damage(newSFP(internal), pageA0, 92), errDamaged},
	} {
		if got, err := measureAll(t, tt.x); !errors.Is(err, tt.want) || len(got) != 0 {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tt.want)
		}
	}
	// The registers of one that calibrates itself need no constants; only its
	// thresholds cannot be trusted.
	want := maps.Clone(sfpWant)
	for _, id := range []catalogue.ID{catalogue.OpticRxPowerLow, catalogue.OpticRxPowerHigh, catalogue.OpticTxPowerLow, catalogue.OpticTxPowerHigh} {
		delete(want, id)
	}
	measure(t, "thresholds damaged", damage(newSFP(internal), pageA2, 33), map[string]readings{"p": want})
}

func damage(x image, p page, offset int) image {
	x.at(p)[offset] ^= 0x10
	return x
}

func TestLossOfSignalIsSaidOnlyWhereItIsImplemented(t *testing.T) {
	for _, tt := range []struct {
		options, status uint8
		signal, fault   int64 // -1: absent
	}{
		{0, lossOfSignal | transmitFault, -1, -1},
		{hasLossOfSignal, lossOfSignal | transmitFault, 1, -1},
		{hasTransmitFault, lossOfSignal | transmitFault, -1, 1},
		{hasLossOfSignal | hasTransmitFault, 0, 0, 0},
		{hasLossOfSignal | hasTransmitFault, lossOfSignal, 1, 0},
	} {
		got, err := measureAll(t, newSFP(internal).options(tt.options, tt.status))
		for id, want := range map[catalogue.ID]int64{catalogue.OpticLossOfSignal: tt.signal, catalogue.OpticTransmitFault: tt.fault} {
			if v, ok := got["p"][id]; ok != (want >= 0) || ok && v != want || err != nil {
				t.Errorf("options %#x, status %#x: metric %d = %d, %v, %v; want %d", tt.options, tt.status, id, v, ok, err, want)
			}
		}
	}
}

func TestModuleThatIsNotReadyMeasuresNothing(t *testing.T) {
	limits := maps.Clone(sfpWant)
	for _, id := range []catalogue.ID{
		catalogue.OpticRxPower, catalogue.OpticTxPower, catalogue.OpticBias, catalogue.OpticVoltage, catalogue.OpticTemperature,
	} {
		delete(limits, id)
	}
	measure(t, "not ready", newSFP(internal).options(0, notReady), map[string]readings{"p": limits})
	zero := newSFP(internal)
	zero.put16(pageA2, 96, 0, 0, 0, 0, 0)
	measure(t, "all zero", zero, map[string]readings{"p": limits})
}

func TestNoLightIsAbsent(t *testing.T) {
	x := newSFP(internal)
	x.put16(pageA2, 102, 0, 0)
	want := maps.Clone(sfpWant)
	delete(want, catalogue.OpticTxPower)
	delete(want, catalogue.OpticRxPower)
	measure(t, "dark", x, map[string]readings{"p": want})
}

func TestThresholdAtAnEndOfItsRangeIsNone(t *testing.T) {
	x := newSFP(internal)
	x.put16(pageA2, 24, 65535, 0)
	x.put16(pageA2, 32, 65535, 0)
	x.seal(pageA2, 0, 95)
	want := maps.Clone(sfpWant)
	for _, id := range []catalogue.ID{catalogue.OpticRxPowerLow, catalogue.OpticRxPowerHigh, catalogue.OpticTxPowerLow, catalogue.OpticTxPowerHigh} {
		delete(want, id)
	}
	measure(t, "no thresholds", x, map[string]readings{"p": want})
}

func TestTemperaturesBelowZero(t *testing.T) {
	for register, want := range map[uint16]int64{0xff00: -1000, 0xff80: -500, 0xffff: -4, 0x0001: 4, 0x0000: 0, 0xd800: -40000, 0x7fff: 127996} {
		x := newSFP(internal)
		x.put16(pageA2, 96, int(register))
		if got, err := measureAll(t, x); got["p"][catalogue.OpticTemperature] != want || err != nil {
			t.Errorf("%#x: %d, %v; want %d", register, got["p"][catalogue.OpticTemperature], err, want)
		}
	}
	x := newSFP(internal)
	x.put16(pageA2, 96, 0x8000) // -128 °C
	if got, _ := measureAll(t, x); got["p"][catalogue.OpticVoltage] != 32920 {
		t.Errorf("%v; want the supply", got["p"].byName())
	} else if v, ok := got["p"][catalogue.OpticTemperature]; ok {
		t.Errorf("a temperature of %d", v)
	}
}

func TestQSFP(t *testing.T) {
	p := readings{
		catalogue.OpticTemperature: 35000, catalogue.OpticVoltage: 33100, catalogue.OpticRxPowerHigh: 3400,
		catalogue.OpticRxPowerLow: -13506, catalogue.OpticTxPowerHigh: 6400,
	}
	one := readings{catalogue.OpticRxPower: -2999, catalogue.OpticTxPower: 0, catalogue.OpticBias: 6500}
	two := readings{catalogue.OpticRxPower: -3979, catalogue.OpticTxPower: -457, catalogue.OpticBias: 6600}
	measure(t, "QSFP", newQSFP(), map[string]readings{"p": p, "p lane 1": one, "p lane 2": two})

	x := newQSFP()
	x.at(pageA0)[220] = 0x08 // it does not measure what it sends
	x.seal(pageA0, 192, 223)
	delete(one, catalogue.OpticTxPower)
	delete(two, catalogue.OpticTxPower)
	measure(t, "without power sent", x, map[string]readings{"p": p, "p lane 1": one, "p lane 2": two})

	x.at(pageA0)[2] = 0x04 // one page only
	measure(t, "flat", x, map[string]readings{
		"p":        {catalogue.OpticTemperature: 35000, catalogue.OpticVoltage: 33100},
		"p lane 1": one, "p lane 2": two,
	})

	x.put16(pageA0, 26, 0)
	measure(t, "nothing measured", x, nil)
	x.at(pageA0)[147] = 0xa0 // a copper cable
	x.seal(pageA0, 128, 191)
	if _, err := measureAll(t, x); !errors.Is(err, errNothing) {
		t.Errorf("a copper cable: %v", err)
	}
	for _, offset := range []int{130, 200} {
		if _, err := measureAll(t, damage(newQSFP(), pageA0, offset)); !errors.Is(err, errDamaged) {
			t.Errorf("damaged at %d: %v", offset, err)
		}
	}
}

func TestCMIS(t *testing.T) {
	p := readings{
		catalogue.OpticTemperature: 50500, catalogue.OpticVoltage: 33500, catalogue.OpticRxPowerHigh: 4000,
		catalogue.OpticRxPowerLow: -13010, catalogue.OpticTxPowerHigh: 5000, catalogue.OpticTxPowerLow: -10000,
	}
	one := readings{catalogue.OpticRxPower: -1000, catalogue.OpticTxPower: 999, catalogue.OpticBias: 80000}
	three := readings{catalogue.OpticRxPower: -40000, catalogue.OpticTxPower: 999, catalogue.OpticBias: 72000}
	measure(t, "CMIS", newCMIS(), map[string]readings{"p": p, "p lane 1": one, "p lane 3": three})

	x := newCMIS()
	x.at(page{base, 1})[160] = monitorsRx | monitorsBias // in steps of 2 µA
	x.seal(page{base, 1}, 130, 255)
	measure(t, "some monitors", x, map[string]readings{
		"p":        p,
		"p lane 1": {catalogue.OpticRxPower: -1000, catalogue.OpticBias: 20000},
		"p lane 3": {catalogue.OpticRxPower: -40000, catalogue.OpticBias: 18000},
	})
	x.at(page{base, 1})[160] = monitorsRx | monitorsBias | 3<<3 // reserved
	x.seal(page{base, 1}, 130, 255)
	measure(t, "a scale that is none", x, map[string]readings{
		"p": p, "p lane 1": {catalogue.OpticRxPower: -1000}, "p lane 3": {catalogue.OpticRxPower: -40000},
	})
	x.at(page{base, 1})[160] = 0
	x.seal(page{base, 1}, 130, 255)
	measure(t, "no monitors", x, map[string]readings{"p": p})

	x.at(pageA0)[2] = 0x80
	measure(t, "flat", x, map[string]readings{"p": {catalogue.OpticTemperature: 50500, catalogue.OpticVoltage: 33500}})
	x.at(pageA0)[212] = 0x0b
	x.seal(pageA0, 128, 222)
	if _, err := measureAll(t, x); !errors.Is(err, errNothing) {
		t.Errorf("a copper cable: %v", err)
	}
	for _, at := range []struct {
		page
		offset int
	}{{pageA0, 130}, {page{base, 1}, 140}} {
		if _, err := measureAll(t, damage(newCMIS(), at.page, at.offset)); !errors.Is(err, errDamaged) {
			t.Errorf("damaged at %+v: %v", at, err)
		}
	}
	got, err := measureAll(t, damage(newCMIS(), page{base, 2}, 180))
	if err != nil || len(got["p"]) != 2 || len(got["p lane 1"]) != 3 {
		t.Errorf("damaged thresholds: %v, %v; want the measurements alone", got, err)
	}
}

// FuzzMemory reads modules whose memory is anything: first a run of pages,
// each with its address, number and content.
func FuzzMemory(f *testing.F) {
	for _, x := range []image{newSFP(internal), newExternal(), newQSFP(), newCMIS(), newSFP(0)} {
		var seed []byte
		for p, b := range x {
			seed = append(append(seed, p.address, p.number), b[:]...)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x := image{}
		for len(data) >= 2+256 && len(x) < 8 {
			x[page{data[0], data[1]}] = (*[256]byte)(data[2 : 2+256])
			data = data[2+256:]
		}
		// Most inputs would end at a checksum.
		for _, s := range []struct {
			page
			from, to int
		}{
			{pageA0, 0, 63}, {pageA0, 64, 95}, {pageA2, 0, 95}, {pageA0, 128, 191}, {pageA0, 192, 223}, {page{base, 1}, 130, 255}, {page{base, 2}, 128, 255},
		} {
			if x[s.page] != nil {
				x.seal(s.page, s.from, s.to)
			}
		}
		if _, err := measureAll(t, x); err != nil && !errors.Is(err, errNothing) && !errors.Is(err, errDamaged) && !errors.Is(err, errOther) {
			t.Error(err)
		}
	})
}
