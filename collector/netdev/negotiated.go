package netdev

import (
	"path/filepath"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/sysfs"
)

// retryRounds is after how many rounds a file is tried again that could not be
// read: most interfaces have no speed and never will (EINVAL), and each try
// costs more than all the rest of an interface's round.
const retryRounds = 30

// maxMbits is the largest speed that is believed: ten times the fastest that
// Ethernet has.
const maxMbits = 16_000_000

// A negotiated holds the files that say what a link was negotiated to
// (Documentation/ABI/testing/sysfs-class-net). They stay open.
type negotiated struct {
	speed, duplex *sysfs.File
	carrier       bool
	ups           uint32
	// wait is for how many more rounds the files are not tried.
	wait int
}

// read returns the speed in Mbit/s and the duplex mode; zero and
// catalogue.DuplexUnknown where they are not known, as without a link.
func (n *negotiated) read(sys string, p *port) (mbits, duplex int64) {
	carrier, ups := p.link.carrier(), p.link.ups
	if carrier && (!n.carrier || ups != n.ups) {
		n.wait = 0
	}
	n.carrier, n.ups = carrier, ups
	if !carrier {
		return 0, catalogue.DuplexUnknown
	}
	if n.wait > 0 {
		n.wait--
		return 0, catalogue.DuplexUnknown
	}
	if n.speed == nil && !n.open(sys, p.name) {
		return 0, catalogue.DuplexUnknown
	}
	// -1 is the kernel's word for unknown; older ones write it as 4294967295.
	mbits, err := n.speed.Int()
	if err != nil || mbits <= 0 || mbits > maxMbits {
		n.giveUp()
		return 0, catalogue.DuplexUnknown
	}
	text, err := n.duplex.Text()
	if err != nil {
		n.giveUp()
		return mbits, catalogue.DuplexUnknown
	}
	switch string(text) {
	case "half":
		return mbits, catalogue.DuplexHalf
	case "full":
		return mbits, catalogue.DuplexFull
	}
	return mbits, catalogue.DuplexUnknown
}

func (n *negotiated) open(sys, name string) bool {
	folder := filepath.Join("class", "net", name)
	speed, err := sysfs.Open(sys, filepath.Join(folder, "speed"))
	if err != nil {
		n.giveUp()
		return false
	}
	duplex, err := sysfs.Open(sys, filepath.Join(folder, "duplex"))
	if err != nil {
		_ = speed.Close()
		n.giveUp()
		return false
	}
	n.speed, n.duplex = speed, duplex
	return true
}

// giveUp closes the files until the link changes or some rounds have passed.
func (n *negotiated) giveUp() {
	n.close()
	n.wait = retryRounds
}

// close closes the files; the next read opens them again.
func (n *negotiated) close() {
	if n.speed != nil {
		_ = n.speed.Close()
		_ = n.duplex.Close()
	}
	n.speed, n.duplex = nil, nil
	n.wait = 0
}
