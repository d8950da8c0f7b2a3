package consent

import (
	"strings"
	"testing"

	"livebox-agent/collector/catalogue"
)

func TestEssentialIsAlwaysGrantedAndNothingElseUntilSaid(t *testing.T) {
	for _, names := range [][]string{nil, {}, {"essential"}} {
		s, err := Parse(names)
		if err != nil {
			t.Fatalf("Parse(%q) = %v", names, err)
		}
		for _, p := range catalogue.Purposes() {
			if got, want := s.Has(p), p == catalogue.Essential; got != want {
				t.Errorf("Parse(%q).Has(%v) = %v; want %v", names, p, got, want)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    []string
		want  string
		wrong []string // parts of the error; none means success
	}{
		{name: "one purpose", in: []string{"mobile"}, want: "essential,mobile"},
		{name: "each by itself", in: []string{"research", "support"}, want: "essential,support,research"},
		{name: "twice", in: []string{"support", "support"}, want: "essential,support"},
		{name: "every unknown one is named", in: []string{"marketing", "support", "x"}, want: "essential,support", wrong: []string{`"marketing"`, `"x"`, "personalised"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.in)
			if got := s.String(); got != tt.want {
				t.Errorf("Parse(%q) = %s; want %s", tt.in, got, tt.want)
			}
			if (err != nil) != (len(tt.wrong) > 0) {
				t.Fatalf("Parse(%q) error = %v", tt.in, err)
			}
			for _, w := range tt.wrong {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not have %q", err, w)
				}
			}
		})
	}
}

func TestWithout(t *testing.T) {
	had, has := Of(catalogue.Support, catalogue.Mobile), Of(catalogue.Support)
	if got := had.Without(has); len(got) != 1 || got[0] != catalogue.Mobile {
		t.Errorf("Without = %v; want mobile", got)
	}
	if got := has.Without(had); len(got) != 0 {
		t.Errorf("Without = %v; want none", got)
	}
}
