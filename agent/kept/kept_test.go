package kept

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"livebox-agent/agent/detect"
	"livebox-agent/agent/rollcall"
	"livebox-agent/buffer/durable"
	"livebox-agent/collector/catalogue"
)

func open(t *testing.T) (dir string, root *os.Root) {
	t.Helper()
	dir = t.TempDir()
	root, err := durable.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return dir, root
}

func TestWhatIsWrittenIsThereAfterwards(t *testing.T) {
	_, root := open(t)
	usual := []detect.Baseline{{Metric: catalogue.LineDownAttenuation, Instance: "dsl0", Low: 1, Usual: 2, High: 3}}
	marks := []rollcall.Mark{{Metric: catalogue.PortCarrier, Instance: "lan1", Value: 1, Mbits: 1000}}
	for range 2 {
		if err := errors.Join(Usual(root).Write(usual), Links(root).Write(marks)); err != nil {
			t.Fatal(err)
		}
	}
	gotUsual, err := Usual(root).Read()
	gotMarks, merr := Links(root).Read()
	if err := errors.Join(err, merr); err != nil || !slices.Equal(gotUsual, usual) || !slices.Equal(gotMarks, marks) {
		t.Errorf("%v, %v, %v; want what was written", gotUsual, gotMarks, err)
	}
}

func TestWhatMayBeOfUseIsLeftAlone(t *testing.T) {
	usual := []detect.Baseline{{Metric: catalogue.LineDownAttenuation, Instance: "dsl0"}}
	later := durable.Format{Magic: [4]byte{'L', 'B', 'U', 'S'}, Version: 9, Oldest: 1, Limit: 32 << 10}
	for _, tt := range []struct {
		name  string
		spoil func(root *os.Root, file string) error
		alone bool
	}{
		{"newer", func(root *os.Root, _ string) error { return later.Write(root, "usual", []byte("of the future")) }, true},
		{"unreadable", func(_ *os.Root, file string) error { return os.Mkdir(file, 0o700) }, true},
		{"cut off", func(root *os.Root, file string) error {
			return errors.Join(Usual(root).Write(usual), os.Truncate(file, 20))
		}, false},
		{"no JSON", func(root *os.Root, _ string) error { return Usual(root).format.Write(root, "usual", []byte("[")) }, false},
		{"absent", func(*os.Root, string) error { return nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, root := open(t)
			if err := tt.spoil(root, filepath.Join(dir, "usual")); err != nil {
				t.Fatal(err)
			}
			f := Usual(root)
			if v, err := f.Read(); err == nil || len(v) != 0 {
				t.Errorf("Read = %v, %v; want an error", v, err)
			}
			if err := f.Write(usual); (err != nil) != tt.alone {
				t.Errorf("Write = %v; want it left alone: %v", err, tt.alone)
			}
			if v, err := Usual(root).Read(); !tt.alone && (err != nil || !slices.Equal(v, usual)) || tt.alone && err == nil {
				t.Errorf("afterwards: %v, %v", v, err)
			}
		})
	}
}

func TestWhatIsUsualEndsWithItsPurpose(t *testing.T) {
	dir, root := open(t)
	line := detect.Baseline{Metric: catalogue.LineDownAttenuation, Instance: "dsl0", High: 1}
	air := detect.Baseline{Metric: catalogue.RadioNoise, Instance: "radio0", High: 1}
	unknown := detect.Baseline{Metric: 60000, Instance: "x", High: 1}
	essential := func(p catalogue.Purpose) bool { return p == catalogue.Essential }
	all := func(catalogue.Purpose) bool { return true }
	if got, err := RecallUsual(Usual(root), all); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	if err := Usual(root).Write([]detect.Baseline{line, air, unknown}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		granted func(catalogue.Purpose) bool
		want    []detect.Baseline
	}{{all, []detect.Baseline{line, air}}, {essential, []detect.Baseline{line}}, {all, []detect.Baseline{line}}} {
		if got, err := RecallUsual(Usual(root), tt.granted); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%v, %v; want %v", got, err, tt.want)
		}
		if got, err := Usual(root).Read(); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("on flash: %v, %v; want %v", got, err, tt.want)
		}
	}
	// Nobody can tell whose a damaged file was.
	if err := os.Truncate(filepath.Join(dir, "usual"), 40); err != nil {
		t.Fatal(err)
	}
	if got, err := RecallUsual(Usual(root), all); !errors.Is(err, durable.ErrDamaged) || len(got) != 0 {
		t.Errorf("damaged: %v, %v", got, err)
	}
	if got, err := Usual(root).Read(); err != nil || len(got) != 0 {
		t.Errorf("after damage: %v, %v; want an empty file", got, err)
	}
}

func TestWithoutADirectoryNothingIsKept(t *testing.T) {
	f := Links(nil)
	if err := f.Write([]rollcall.Mark{{Instance: "lan1"}}); err == nil {
		t.Error("written to nowhere")
	}
	if v, err := f.Read(); len(v) != 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read = %v, %v; want nothing", v, err)
	}
}
