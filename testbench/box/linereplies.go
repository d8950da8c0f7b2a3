package box

import (
	"fmt"
	"math"
	"strings"
)

// state returns the ONU's state in the words of the box.
func (f *fibre) state() string {
	if f.operation() {
		return "O5_Operation"
	}
	return "O1_Initial"
}

// gpon is what the box says of its optics.
func (b *Box) gpon() *object {
	f, s := &b.world.fibre, b.p.pon
	bias := f.bias() * 2 // µA
	if s.milliamps {
		bias /= 1000
	}
	o := obj("RegistrationID", registrationID)
	if !s.old {
		o.add("RegistrationIDIsInHexFormat", false)
	}
	o.add("VeipPptpUni", true)
	if s.old {
		o.add("OmciIsTmOwner", false)
	}
	for _, v := range obj(
		"MaxBitRateSupported", s.maxBitRate, "SignalRxPower", milliDBm(f.rx()), "SignalTxPower", milliDBm(s.tx),
		"Temperature", f.celsius(), "Voltage", s.voltage, "Bias", bias,
	).fields {
		o.add(v.key, v.value)
	}
	if !s.old {
		o.add("PonMode", "GPON")
	}
	for _, v := range obj(
		"SerialNumber", b.ponSerial(), "HardwareVersion", s.board, "EquipmentId", s.equipment,
		"VendorId", s.vendor, "VendorProductCode", s.product,
	).fields {
		o.add(v.key, v.value)
	}
	state := obj("ONTSoftwareVersion0", s.firmware[0], "ONTSoftwareVersion1", s.firmware[1], "ONTSoftwareVersionActive", 1)
	if s.old {
		state = obj(
			"PonId", "", "ONTSoftwareVersion0", s.firmware[0], "ONTSoftwareVersion1", s.firmware[1],
			"ONTSoftwareVersionActive", 0, "ONUState", f.state(),
		)
	}
	for _, v := range state.fields {
		o.add(v.key, v.value)
	}
	if !s.old {
		for _, v := range obj(
			"LowerOpticalThreshold", s.thresholds[0], "UpperOpticalThreshold", s.thresholds[1],
			"LowerTransmitPowerThreshold", s.thresholds[2], "UpperTransmitPowerThreshold", s.thresholds[3],
			"Mode", "Normal", "CustomVendorID", "", "CustomEquipmentID", "", "VLANs", s.vlans, "RogueOnu", false,
			// The spelling of the boxes.
			"RogueOnuCount", 0, "RogueOnuLastOccurence", zeroDate, "OnuState", f.state(), "OnuId", s.onuID, "PonId", "",
		).fields {
			o.add(v.key, v.value)
		}
	}
	down, up := s.down, s.up
	if !f.operation() {
		down, up = 0, 0
	}
	o.add("DownstreamMaxRate", s.down)
	o.add("UpstreamMaxRate", s.up)
	o.add("DownstreamCurrRate", down)
	o.add("UpstreamCurrRate", up)
	if s.wanMode {
		o.add("WanMode", "")
	}
	return o
}

// sfp is what the optical module of a Livebox 4 says: powers in steps of
// 0.002 dB, neither voltage nor current. Boxes without one say nothing.
func (b *Box) sfp() *object {
	if b.p.wan != wanSFP {
		return &object{}
	}
	f := &b.world.fibre
	status, state := "ONT_Ready", 5
	if !f.operation() {
		status, state = "ONT_NotReady", 1
	}
	even := func(v int) int { return v / 2 * 2 }
	return obj(
		"Status", status, "ModelName", fmt.Sprintf("%-20s", "FGS202"), "SerialNumber", b.ponSerial(),
		"OpticalSignalLevel", even(milliDBm(f.rx())), "TransmitOpticalLevel", even(milliDBm(f.rest.tx)),
		"ChipsetTemperature", f.celsius(), "ONTReady", f.operation(), "OperatingState", state,
		"RegistrationID", registrationID,
	)
}

// tenths returns dB as boxes write them.
func tenths(dB float64) int { return int(math.Round(dB * 10)) }

// dsl is what the box says of its modem.
func (b *Box) dsl() *object {
	w, l := b.world, &b.world.line
	status := "Up"
	down, up := l.down.currentRate(), l.up.currentRate()
	marginDown, marginUp := tenths(l.margin(w, &l.down, "down")), tenths(l.margin(w, &l.up, "up"))
	if !l.showtime(w.now) {
		status, down, up, marginDown, marginUp = "Initializing", 0, 0, 0, 0 //nolint:misspell // as the box spells it
	}
	if b.p.wan != wanDSL {
		return b.idleModem()
	}
	changed := l.lastChange(w.now)
	o := obj(
		"LastChangeTime", int((changed - w.booted).Seconds()), "LastChange", int((w.now - changed).Seconds()),
		"UpstreamCurrRate", int(up), "DownstreamCurrRate", int(down), "LinkStatus", status,
		"UpstreamMaxRate", int(l.up.attainableRate(l.noise)), "DownstreamMaxRate", int(l.down.attainableRate(l.noise)),
		"UpstreamAttenuation", tenths(l.up.attenuation), "DownstreamAttenuation", tenths(l.down.attenuation),
		"DownstreamLineAttenuation", tenths(l.down.attenuation+0.3),
		"UpstreamLineAttenuation", tenths(l.up.attenuation+1),
		"UpstreamNoiseMargin", marginUp, "DownstreamNoiseMargin", marginDown,
		"UpstreamPower", tenths(l.up.power), "DownstreamPower", tenths(l.down.power),
		"FirmwareVersion", "A2pvbH042x5.d27", "StandardsSupported", standards(),
	)
	tail := obj(
		"StandardUsed", "G.993.2_Annex_B", "DataPath", "Interleaved", "InterleaveDepth", 0, "ModulationType", "VDSL",
		"ChannelEncapsulationType", "G.993.2_Annex_K_PTM", "ModulationHint", "VDSL", "CurrentProfile", "17a",
		"UPBOKLE", 140,
	)
	if !b.p.vdsl {
		tail = obj(
			"StandardUsed", "G.992.5_Annex_A", "DataPath", "Interleaved", "InterleaveDepth", 64,
			"ModulationType", "ADSL", "ChannelEncapsulationType", "G.992.3_Annex_K_ATM",
			"ModulationHint", "Auto", "CurrentProfile", "", "UPBOKLE", 0,
		)
	}
	for _, f := range tail.fields {
		o.add(f.key, f.value)
	}
	return o
}

// idleModem is what a modem says that has no line: it measures nothing, and
// says zero.
func (b *Box) idleModem() *object {
	w := b.world
	return obj(
		"LastChangeTime", 30, "LastChange", max(int((w.now-w.booted).Seconds())-30, 0),
		"UpstreamCurrRate", 0, "DownstreamCurrRate", 0, "LinkStatus", "NoSignal", "UpstreamMaxRate", 0,
		"DownstreamMaxRate", 0, "UpstreamAttenuation", 0, "DownstreamAttenuation", 0, "DownstreamLineAttenuation", 0,
		"UpstreamLineAttenuation", 0, "UpstreamNoiseMargin", 0, "DownstreamNoiseMargin", 0, "UpstreamPower", 0,
		"DownstreamPower", 0, "FirmwareVersion", "A2pvbH042x5.d27", "StandardsSupported", standards(),
		"StandardUsed", "", "DataPath", "", "InterleaveDepth", 0, "ModulationType", "", "ChannelEncapsulationType", "",
		"ModulationHint", "Auto", "CurrentProfile", "", "UPBOKLE", 0,
	)
}

func standards() string {
	return strings.Join([]string{
		"G.992.1_Annex_A", "G.992.3_Annex_A", "G.992.5_Annex_A", "G.992.5_Annex_M", "G.993.2_Annex_A", "G.993.2_Annex_B",
	}, ", ")
}

// lineCall answers a function of the modem's interface, or of that of data
// above it; nil if it is none.
func (b *Box) lineCall(name, method string) *object {
	if b.p.wan != wanDSL || name != b.p.wanIntf && name != "data" {
		return nil
	}
	l := &b.world.line
	switch method {
	case "getDSLStats":
		return obj("status", b.dslStats())
	case "getDSLLineStats":
		wan := b.world.traffic[b.p.wanIntf]
		o := obj("stats", obj(
			"BytesSent", low32(wan.txBytes), "BytesReceived", low32(wan.rxBytes),
			"PacketsSent", low32(wan.txPackets), "PacketsReceived", low32(wan.rxPackets),
			"ErrorsSent", 0, "ErrorsReceived", 0,
		))
		for _, s := range []struct {
			name string
			seconds
		}{
			{"Total", l.total},
			{"Showtime", l.showtimeStats},
			{"LastShowtime", l.lastShowtime},
			{"CurrentDay", l.day},
			{"QuarterHour", l.quarter},
		} {
			o.add(s.name, obj(
				"ErroredSecs", int(s.es), "SeverelyErroredSecs", int(s.ses), "LOS", int(s.los), "LOF", int(s.lof),
				"UAS", int(s.uas), "LOM", int(s.lom),
			))
		}
		return obj("status", o)
	}
	return nil
}

// dslStats counts both sides: those of the exchange begin with ATUC.
func (b *Box) dslStats() *object {
	l := &b.world.line
	return obj(
		"ReceiveBlocks", low32(l.blocksRx), "TransmitBlocks", low32(l.blocksTx), "CellDelin", 0,
		"LinkRetrain", l.retrains, "InitErrors", 0, "InitTimeouts", 0, "LossOfFraming", int(l.lossOfFraming),
		"ErroredSecs", int(l.total.es), "SeverelyErroredSecs", int(l.total.ses),
		"FECErrors", low32(l.down.fec), "ATUCFECErrors", low32(l.up.fec), "HECErrors", 0, "ATUCHECErrors", 0,
		"CRCErrors", low32(l.down.crc), "ATUCCRCErrors", low32(l.up.crc),
	)
}
