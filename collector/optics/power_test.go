package optics

import (
	"math"
	"testing"
)

// register returns the least n whose power milliDBm calls v; it is the inverse
// of milliDBm. Where v is no register's power it returns 0.
func register(v int64) int {
	from := int(math.Pow(10, float64(v)/10000+4)) - 1
	for n := max(from, 1); n <= from+10; n++ {
		if got, _ := milliDBm(float64(n)); got == v {
			return n
		}
	}
	return 0
}

func TestPowersOfRealBoxesAreRegisters(t *testing.T) {
	for v, n := range map[int64]int{
		-18794: 132, -16861: 206, -19469: 113, -27212: 19, -18827: 131, // received
		1646: 14609, 3618: 23004, 3485: 22311, 2594: 18172, 2482: 17710, // sent
	} {
		if got, ok := milliDBm(float64(n)); got != v || !ok {
			t.Errorf("milliDBm(%d) = %d, %v; want %d as the box says", n, got, ok, v)
		}
	}
}

func TestPowerIsCutTowardZero(t *testing.T) {
	for n, want := range map[float64]int64{
		1: -40000, 10: -30000, 100: -20000, 1000: -10000, 10000: 0, 100000: 10000, // exact
		2: -36989, 3: -35228, 9999: 0, 10001: 0, 9997: -1, 10003: 1, 20000: 3010, 65535: 8164,
	} {
		if got, ok := milliDBm(n); got != want || !ok {
			t.Errorf("milliDBm(%v) = %d, %v; want %d", n, got, ok, want)
		}
	}
}

func TestNoLightHasNoDecibels(t *testing.T) {
	for _, n := range []float64{0, -1, math.Inf(-1), math.Inf(1), math.NaN()} {
		if v, ok := milliDBm(n); ok || v != 0 {
			t.Errorf("milliDBm(%v) = %d, %v; want none", n, v, ok)
		}
	}
}

// Up to where the steps of the register are wider than those of the number,
// each power has one register; beyond, the inverse finds one of the same power.
func TestInverseOfEveryRegister(t *testing.T) {
	last := int64(math.MinInt64)
	for n := 1; n <= math.MaxUint16; n++ {
		v, ok := milliDBm(float64(n))
		if !ok || v < last {
			t.Fatalf("milliDBm(%d) = %d, %v after %d", n, v, ok, last)
		}
		last = v
		if n > 5000 && n%37 != 0 {
			continue // they are alike, and slow without a floating-point unit
		}
		back := register(v)
		if back == 0 || n <= 4342 && back != n {
			t.Fatalf("register(%d) = %d; want %d", v, back, n)
		}
		if again, _ := milliDBm(float64(back)); again != v {
			t.Fatalf("milliDBm(register(%d)) = %d", v, again)
		}
	}
}

// The cut is exact on every target only if no register but the powers of ten
// comes so near to a whole number that the last bits of a logarithm decide.
func TestNoRegisterIsNearlyWhole(t *testing.T) {
	const margin = 1e-7
	for n := 1; n <= math.MaxUint16; n++ {
		if n == 1 || n == 10 || n == 100 || n == 1000 || n == 10000 {
			continue
		}
		x := 10000 * math.Log10(float64(n)/10000)
		if math.Abs(x-math.Round(x)) < margin {
			t.Errorf("the power of %d is %v, nearly whole", n, x)
		}
	}
}
