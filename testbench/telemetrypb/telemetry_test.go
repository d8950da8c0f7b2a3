package telemetrypb_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/testbench/telemetrypb"
	"livebox-agent/uplink/wire"
)

// A filler sets every field of a message, each to another value. Numbers
// ascend, so that ranges of sequences are in order.
type filler struct{ n uint64 }

func (f *filler) message(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.IsList():
			list := m.Mutable(fd).List()
			for range 2 {
				if fd.Message() != nil {
					f.message(list.AppendMutable().Message())
				} else {
					list.Append(f.scalar(fd))
				}
			}
		case fd.Message() != nil:
			f.message(m.Mutable(fd).Message())
		default:
			m.Set(fd, f.scalar(fd))
		}
	}
}

func (f *filler) scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	f.n++
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat("é", int(f.n)))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{byte(f.n), 0xff})
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(1000 + f.n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		return protoreflect.ValueOfInt64(int64(f.n) - 1_000_000)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1<<32 + f.n)
	}
	panic("BUG: no value for " + fd.Kind().String())
}

// TestEveryFieldIsWrittenByHand sends each message, every field set, through
// the parser and the writer that are written by hand.
func TestEveryFieldIsWrittenByHand(t *testing.T) {
	for _, tt := range []struct {
		message proto.Message
		byHand  func([]byte) ([]byte, error)
	}{
		{&telemetrypb.Report{}, func(b []byte) ([]byte, error) {
			r, err := wire.ParseReport(b)
			out := wire.AppendHeader(nil, r.Header)
			for _, s := range r.Sections {
				out = wire.AppendSection(out, s.Purpose, s.Fidelity, s.Body)
			}
			return wire.AppendClock(out, r.Clock), err
		}},
		{&telemetrypb.Event{}, func(b []byte) ([]byte, error) {
			e, err := wire.ParseEvent(b)
			return wire.AppendEvent(nil, e), err
		}},
		{&telemetrypb.Status{}, func(b []byte) ([]byte, error) {
			s, err := wire.ParseStatus(b)
			return wire.AppendStatus(nil, s), err
		}},
		{&telemetrypb.Ack{}, func(b []byte) ([]byte, error) {
			a, err := wire.ParseAck(b)
			return wire.AppendAck(nil, a), err
		}},
	} {
		t.Run(string(tt.message.ProtoReflect().Descriptor().Name()), func(t *testing.T) {
			(&filler{}).message(tt.message.ProtoReflect())
			generated, err := proto.Marshal(tt.message)
			if err != nil {
				t.Fatal(err)
			}
			byHand, err := tt.byHand(generated)
			if err != nil {
				t.Fatal(err)
			}
			got := tt.message.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(byHand, got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(tt.message, got) {
				t.Errorf("came back as\n%s\nwant\n%s", prototext.Format(got), prototext.Format(tt.message))
			}
		})
	}
}

// TestEveryMessageIsKnown fails when telemetry.proto gets a message that the
// test above does not reach.
func TestEveryMessageIsKnown(t *testing.T) {
	reached := map[protoreflect.FullName]bool{}
	var reach func(protoreflect.MessageDescriptor)
	reach = func(d protoreflect.MessageDescriptor) {
		if reached[d.FullName()] {
			return
		}
		reached[d.FullName()] = true
		for i := range d.Fields().Len() {
			if m := d.Fields().Get(i).Message(); m != nil {
				reach(m)
			}
		}
	}
	for _, m := range []proto.Message{&telemetrypb.Report{}, &telemetrypb.Event{}, &telemetrypb.Status{}, &telemetrypb.Ack{}} {
		reach(m.ProtoReflect().Descriptor())
	}
	all := telemetrypb.File_telemetry_proto.Messages()
	for i := range all.Len() {
		if name := all.Get(i).FullName(); !reached[name] {
			t.Errorf("no test writes %s by hand", name)
		}
	}
}

// TestEnumerationsAgree: each value of telemetry.proto has a name by hand that
// is its own in lower case, without the prefix.
func TestEnumerationsAgree(t *testing.T) {
	for _, tt := range []struct {
		enum   protoreflect.EnumDescriptor
		prefix string
		byHand func(n int) string
	}{
		{telemetrypb.Lane(0).Descriptor(), "LANE_", func(n int) string { return wire.Lane(n).String() }},
		{telemetrypb.ClockQuality(0).Descriptor(), "CLOCK_", func(n int) string { return wire.ClockQuality(n).String() }},
		{telemetrypb.Purpose(0).Descriptor(), "PURPOSE_", func(n int) string { return catalogue.Purpose(n).String() }},
		{telemetrypb.Fidelity(0).Descriptor(), "FIDELITY_", func(n int) string { return wire.Fidelity(n).String() }},
		{telemetrypb.EventType(0).Descriptor(), "EVENT_", func(n int) string { return wire.EventType(n).String() }},
		{telemetrypb.SignKind(0).Descriptor(), "SIGN_", func(n int) string { return sample.SignKind(n).String() }},
		{telemetrypb.Loss_Reason(0).Descriptor(), "", func(n int) string { return wire.LossReason(n).String() }},
		{telemetrypb.Capability_State(0).Descriptor(), "", func(n int) string { return wire.CapabilityState(n).String() }},
	} {
		for i := range tt.enum.Values().Len() {
			v := tt.enum.Values().Get(i)
			if strings.HasSuffix(string(v.Name()), "_UNSPECIFIED") {
				continue
			}
			want := strings.ToLower(strings.TrimPrefix(string(v.Name()), tt.prefix))
			if got := tt.byHand(int(v.Number())); got != want {
				t.Errorf("%s %d is %q by hand; want %q", tt.enum.Name(), v.Number(), got, want)
			}
		}
	}
}

// TestEverySignIsInTheContract: what a watcher or a detector can tell has a
// value in telemetry.proto and is explained in SPEC.md.
func TestEverySignIsInTheContract(t *testing.T) {
	spec, err := os.ReadFile("../../uplink/wire/SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	for k := range sample.SignKind(1 << 10) {
		name := k.String()
		if strings.HasPrefix(name, "sign(") {
			continue
		}
		if v := telemetrypb.SignKind(0).Descriptor().Values().ByNumber(protoreflect.EnumNumber(k)); v == nil {
			t.Errorf("telemetry.proto has no sign %d, %s", k, name)
		}
		upper := strings.ToUpper(name)
		tail := upper[strings.LastIndexByte(upper, '_')+1:]
		if !strings.Contains(string(spec), "`"+upper+"`") && !strings.Contains(string(spec), "`_"+tail+"`") {
			t.Errorf("SPEC.md says nothing of %s", upper)
		}
	}
}

// TestGeneratedCodeIsOfTheProto compares the descriptor in the generated code
// with what protoc makes of telemetry.proto.
func TestGeneratedCodeIsOfTheProto(t *testing.T) {
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("protoc is not installed (Debian package protobuf-compiler)")
		}
		t.Skip("protoc is not installed (Debian package protobuf-compiler)")
	}
	file := filepath.Join(t.TempDir(), "descriptor")
	out, err := exec.CommandContext(t.Context(), protoc, "-I", "../../uplink/wire", "--descriptor_set_out="+file, "telemetry.proto").CombinedOutput()
	if err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	if got := protodesc.ToFileDescriptorProto(telemetrypb.File_telemetry_proto); len(set.File) != 1 || !proto.Equal(set.File[0], got) {
		t.Error("telemetry.pb.go is not of telemetry.proto: run go generate ./testbench/telemetrypb")
	}
}
