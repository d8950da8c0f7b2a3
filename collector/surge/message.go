package surge

import (
	"bytes"
	"errors"
	"time"
)

// A class is what a message of the kernel is about. Its name is the instance of
// its readings and signs.
type class uint8

const (
	// classNone is of no interest. Its tally counts the messages that were
	// overwritten before they were read.
	classNone class = iota
	classPower
	classPort
	classPCIe
	classUSB
	classFlash
	classRadio
	classThermal
	classWatchdog
	classCrash
	numClasses
)

// classNames has the classes as they are told.
var classNames = [numClasses]string{
	classPower: "power", classPort: "port", classPCIe: "pcie", classUSB: "usb", classFlash: "flash",
	classRadio: "radio", classThermal: "thermal", classWatchdog: "watchdog", classCrash: "crash",
}

// A pattern is what a message of a class contains: both texts, the first at its
// start where it begins with "^".
type pattern struct {
	class class
	a, b  string
}

// patterns are tried in their order; the first that fits says the class. Each
// has the kernel's file that says so.
var patterns = [...]pattern{
	{classThermal, "critical temperature reached", ""}, // drivers/thermal/thermal_core.c
	{classThermal, "Temperature too high", ""},         // the same, by kernel/reboot.c
	{classPower, "ndervoltage detected", ""},           // drivers/hwmon/raspberrypi-hwmon.c
	{classPower, "nder-voltage", ""},                   // drivers/regulator, drivers/power/supply
	{classPower, "ver-voltage", ""},                    // the same
	{classPower, "HARDWARE PROTECTION", ""},            // kernel/reboot.c, for drivers/regulator/core.c
	{classPort, "Downshift occurred", ""},              // drivers/net/phy/phy-core.c
	{classPort, "NETDEV WATCHDOG", ""},                 // net/sched/sch_generic.c
	{classPort, "MDIO", "timeout"},                     // drivers/net/ethernet/mediatek/mtk_eth_soc.c
	{classPort, "MDIO", "timed out"},                   // other drivers of drivers/net/ethernet
	{classPort, "mdio", "timeout"},                     // drivers/net/mdio
	{classPort, "mdio", "timed out"},                   // the same
	{classPort, "transmit fault", ""},                  // drivers/net/phy/sfp.c
	{classPort, "persistently indicates fault", ""},    // the same
	{classPCIe, "PCIe Bus Error", ""},                  // drivers/pci/pcie/aer.c
	{classPCIe, "Slot(", "Link Down"},                  // drivers/pci/hotplug/pciehp_ctrl.c
	{classPCIe, "power state from", "inaccessible"},    // drivers/pci/pci.c
	{classUSB, "over-current condition", ""},           // drivers/usb/core/hub.c
	{classUSB, "unable to enumerate USB device", ""},   // the same
	{classUSB, "device descriptor read", "error"},      // the same
	{classUSB, "device not accepting address", ""},     // the same
	{classUSB, "HC died", ""},                          // drivers/usb/core/hcd.c
	{classUSB, "host controller not responding", ""},   // drivers/usb/host/xhci.c
	{classFlash, "I/O error, dev ", ""},                // block/blk-core.c
	{classFlash, "waiting for hardware interrupt", ""}, // drivers/mmc/host/sdhci.c
	{classFlash, "mmcblk", "error -"},                  // drivers/mmc/core/block.c
	{classFlash, "^ubi", " error: "},                   // drivers/mtd/ubi/ubi.h
	{classFlash, "UBI error", ""},                      // the same, before Linux 3.19
	{classFlash, "UBIFS error", ""},                    // fs/ubifs/misc.c
	{classFlash, "nand", "ncorrectable"},               // drivers/mtd/nand
	{classFlash, "EXT4-fs error", ""},                  // fs/ext4/super.c
	{classFlash, "SQUASHFS error", ""},                 // fs/squashfs
	{classRadio, "firmware", "crashed"},                // drivers/net/wireless/ath
	{classRadio, "Firmware has halted or crashed", ""}, // drivers/net/wireless/broadcom/brcm80211
	{classRadio, "Hardware restart was requested", ""}, // net/mac80211/util.c
	{classRadio, "Message ", ") timeout"},              // drivers/net/wireless/mediatek/mt76/mcu.c
	{classWatchdog, "soft lockup", ""},                 // kernel/watchdog.c
	{classWatchdog, "hard LOCKUP", ""},                 // the same
	{classWatchdog, "did not stop!", ""},               // drivers/watchdog/watchdog_dev.c
	{classWatchdog, "pretimeout event", ""},            // drivers/watchdog/pretimeout_noop.c
	{classWatchdog, "rcu", "detected stall"},           // kernel/rcu/tree_stall.h
	{classWatchdog, "task ", "blocked for more than"},  // kernel/hung_task.c
	{classCrash, "Kernel panic", ""},                   // kernel/panic.c
	{classCrash, "Unable to handle kernel", ""},        // arch/arm/mm/fault.c, arch/mips/mm/fault.c
	{classCrash, "Internal error: ", ""},               // arch/arm/kernel/traps.c
	{classCrash, "Oops", ""},                           // arch/mips/kernel/traps.c
	{classCrash, "^BUG: ", ""},                         // kernel/sched/core.c, mm
	{classCrash, "kernel BUG at", ""},                  // lib/bug.c
}

// classify says what a message is about. It allocates nothing.
func classify(text []byte) class {
	for i := range patterns {
		p := &patterns[i]
		if has(text, p.a) && (p.b == "" || contains(text, p.b)) {
			return p.class
		}
	}
	return classNone
}

// has says whether b contains s, or begins with what follows "^".
func has(b []byte, s string) bool {
	if s[0] == '^' {
		return len(b) >= len(s)-1 && string(b[:len(s)-1]) == s[1:]
	}
	return contains(b, s)
}

// contains is bytes.Contains of a text.
func contains(b []byte, s string) bool {
	for {
		i := bytes.IndexByte(b, s[0])
		if i < 0 || len(b)-i < len(s) {
			return false
		}
		if string(b[i:i+len(s)]) == s {
			return true
		}
		b = b[i+1:]
	}
}

// A record is the first line of what kmsg gives of a message.
type record struct {
	facility int64
	sequence int64
	at       time.Duration // on the clock of the kernel's log
	text     []byte        // as it stands there, escaped
}

// fromKernel is the facility that only the kernel's own messages have
// (devkmsg_write, kernel/printk/printk.c).
const fromKernel = 0

// errRecord says that a record is not what the kernel writes. It tells nothing
// of the bytes, which may name anything.
var errRecord = errors.New("kernel log: malformed record")

// maxTime is the longest time since boot that is believed: 300 years would not
// fit a Duration.
const maxTime = 100 * 365 * 24 * time.Hour

// parse reads "priority,sequence,microseconds,flags[,…];text".
func (r *record) parse(line []byte) error {
	*r = record{}
	head, text, ok := bytes.Cut(line, []byte{';'})
	if !ok {
		return errRecord
	}
	var numbers [3]int64
	for i := range numbers {
		var field []byte
		if field, head, ok = bytes.Cut(head, []byte{','}); !ok {
			return errRecord
		}
		if numbers[i], ok = digits(field); !ok {
			return errRecord
		}
	}
	if numbers[2] > int64(maxTime/time.Microsecond) {
		return errRecord
	}
	r.facility, r.sequence = numbers[0]>>3, numbers[1]
	r.at = time.Duration(numbers[2]) * time.Microsecond
	r.text = text
	return nil
}

// digits reads a decimal number of at most 18 digits.
func digits(b []byte) (v int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}
