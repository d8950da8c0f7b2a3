package box

import (
	"fmt"
	"strings"
)

// What identifies an emulated box. The ranges are those for documentation
// (RFC 5737, RFC 3849); hardware addresses are locally administered.
const (
	gatewayV4      = "192.0.2.1"
	registrationID = "4F52414E4745454D554C"
)

// mac returns the n-th hardware address of the box.
func (b *Box) mac(n int) string {
	v := b.world.chance.bits("box", 0)
	return fmt.Sprintf("02:0B:%02X:%02X:%02X:%02X", byte(v>>16), byte(v>>8), byte(v), byte(n))
}

func (b *Box) serial() string {
	return fmt.Sprintf("SN%013d", b.world.chance.bits("serial", 0)%1e13)
}

func (b *Box) ponSerial() string {
	return fmt.Sprintf("%s%08X", b.p.pon.vendor, uint32(b.world.chance.bits("pon", 0)))
}

func (b *Box) ssid() string {
	return fmt.Sprintf("Livebox-%04X", uint16(b.world.chance.bits("ssid", 0)))
}

func (b *Box) neighbour() string {
	return fmt.Sprintf("Neighbour-%04X", uint16(b.world.chance.bits("neighbour", 0)))
}

func (b *Box) neighbourMAC() string { return strings.Replace(b.mac(99), "02:0B", "02:0C", 1) }

func (b *Box) ipv4() string { return fmt.Sprintf("192.0.2.%d", 10+b.world.chance.below("ipv4", 200)) }

func (b *Box) prefix() string {
	return fmt.Sprintf("2001:db8:%x::/56", 0x100+b.world.chance.below("prefix", 0xe00))
}

func (b *Box) ipv6() string { return strings.TrimSuffix(b.prefix(), "::/56") + "::1" }

func (b *Box) account() string {
	return fmt.Sprintf("fti/%07x", b.world.chance.bits("account", 0)&0xfffffff)
}
