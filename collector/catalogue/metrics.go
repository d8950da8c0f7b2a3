package catalogue

import "time"

const (
	fast = 10 * time.Second
	slow = time.Minute
)

// The numbers of the metrics. Sources use these names; the wire uses the
// values.
const (
	UpTime         ID = 1
	StateSpaceFree ID = 2

	CPUUsage        ID = 8
	LoadAverage     ID = 9
	MemoryTotal     ID = 10
	MemoryFree      ID = 11
	MemoryAvailable ID = 12

	SensorTemperature ID = 16
	SensorVoltage     ID = 17
	SensorCurrent     ID = 18
	SensorPower       ID = 19
	SensorFan         ID = 20

	PortStatus          ID = 24
	PortCarrier         ID = 25
	PortCarrierUps      ID = 26
	PortCarrierDowns    ID = 27
	PortBitRate         ID = 28
	PortDuplex          ID = 29
	PortErrorsReceived  ID = 30
	PortErrorsSent      ID = 31
	PortDropsReceived   ID = 32
	PortDropsSent       ID = 33
	PortCRCErrors       ID = 34
	PortCounterResets   ID = 35
	PortBytesReceived   ID = 40
	PortBytesSent       ID = 41
	PortPacketsReceived ID = 42
	PortPacketsSent     ID = 43

	RadioChannel      ID = 48
	RadioBand         ID = 49
	RadioBandwidth    ID = 50
	RadioNoise        ID = 51
	RadioActiveTime   ID = 52
	RadioBusyTime     ID = 53
	RadioRxTime       ID = 54
	RadioTxTime       ID = 55
	RadioBSSRxTime    ID = 56
	RadioTxPower      ID = 57
	RadioStations     ID = 58
	RadioWeakStations ID = 59

	StationSignal             ID = 64
	StationSignalLast         ID = 65
	StationDownlinkRate       ID = 66
	StationUplinkRate         ID = 67
	StationDownlinkMCS        ID = 68
	StationUplinkMCS          ID = 69
	StationDownlinkNSS        ID = 70
	StationUplinkNSS          ID = 71
	StationDownlinkWidth      ID = 72
	StationUplinkWidth        ID = 73
	StationRetries            ID = 74
	StationFailures           ID = 75
	StationInactive           ID = 76
	StationRxAirtime          ID = 77
	StationTxAirtime          ID = 78
	StationBytesSent          ID = 79
	StationBytesReceived      ID = 80
	StationPacketsSent        ID = 81
	StationPacketsReceived    ID = 82
	StationConnectedTime      ID = 83
	StationBeaconLoss         ID = 84
	StationRxDrops            ID = 85
	StationAckSignal          ID = 86
	StationExpectedThroughput ID = 87

	LineStatus           ID = 96
	LineLastChange       ID = 97
	LineDownRate         ID = 98
	LineUpRate           ID = 99
	LineDownMaxRate      ID = 100
	LineUpMaxRate        ID = 101
	LineDownMargin       ID = 102
	LineUpMargin         ID = 103
	LineDownAttenuation  ID = 104
	LineUpAttenuation    ID = 105
	LineDownPower        ID = 106
	LineUpPower          ID = 107
	LineRetrains         ID = 108
	LineInitErrors       ID = 109
	LineInitTimeouts     ID = 110
	LineDownES           ID = 111
	LineUpES             ID = 112
	LineDownSES          ID = 113
	LineUpSES            ID = 114
	LineDownUAS          ID = 115
	LineUpUAS            ID = 116
	LineDownLOS          ID = 117
	LineUpLOS            ID = 118
	LineDownLOF          ID = 119
	LineUpLOF            ID = 120
	LineDownFEC          ID = 121
	LineUpFEC            ID = 122
	LineDownCRC          ID = 123
	LineUpCRC            ID = 124
	LineDownHEC          ID = 125
	LineUpHEC            ID = 126
	LineDownLOM          ID = 127
	LineProfile          ID = 128
	LineStandard         ID = 129
	LineElectricalLength ID = 130
	LineDownRetransmits  ID = 131
	LineDownUncorrected  ID = 132
	LineUpRetransmits    ID = 133
	LineUpUncorrected    ID = 134
	LinePowerState       ID = 135

	OpticRxPower       ID = 144
	OpticTxPower       ID = 145
	OpticBias          ID = 146
	OpticVoltage       ID = 147
	OpticTemperature   ID = 148
	OpticState         ID = 149
	OpticRxPowerLow    ID = 150
	OpticRxPowerHigh   ID = 151
	OpticTxPowerLow    ID = 152
	OpticTxPowerHigh   ID = 153
	OpticMode          ID = 154
	OpticDownRate      ID = 155
	OpticUpRate        ID = 156
	OpticRogueEvents   ID = 157
	OpticLossOfSignal  ID = 158
	OpticTransmitFault ID = 159

	WANStatus    ID = 160
	WANLinkType  ID = 161
	WANProtocol  ID = 162
	WANIPv4      ID = 163
	WANIPv6      ID = 164
	WANUpTime    ID = 165
	WANLastError ID = 166

	ProbeRTT      ID = 176
	ProbeRTTMin   ID = 177
	ProbeJitter   ID = 178
	ProbeSent     ID = 179
	ProbeReceived ID = 180
	ProbeSkipped  ID = 181

	RadioUtilisation  ID = 188
	RadioInterference ID = 189
	StationNoise      ID = 190
	StationSNR        ID = 191

	RadioAssociationFailures ID = 192

	RestartReason          ID = 208
	Restarts               ID = 209
	WatchdogRestarts       ID = 210
	ColdRestarts           ID = 211
	WarmRestarts           ID = 212
	VersionRestarts        ID = 213
	CrashRecords           ID = 214
	SensorVoltageAlarm     ID = 216
	SensorVoltageLowest    ID = 217
	SensorVoltageHighest   ID = 218
	SensorTemperatureAlarm ID = 219
	LightningDistance      ID = 224
	LightningStrikes       ID = 225
	LightningNoise         ID = 226
	ProtectionState        ID = 228
	KernelMessages         ID = 232
	KernelMessagesUntold   ID = 233
)

// Values of RestartReason, in the order of its States.
const (
	RestartUnknown = 0
	// RestartPowerOn: power came back, and nothing had said that it would go.
	RestartPowerOn = 1
	// RestartPlanned: someone or something asked for it.
	RestartPlanned  = 2
	RestartWatchdog = 3
	RestartCrash    = 4
	// RestartBrownOut and RestartOverVoltage: the supply left its band.
	RestartBrownOut    = 5
	RestartOverVoltage = 6
	RestartOverheat    = 7
	// RestartUser: a person at the box, by its button or its page.
	RestartUser    = 8
	RestartUpgrade = 9
	// RestartExternal: another part of the board pulled the reset.
	RestartExternal = 10
	RestartFan      = 11
	RestartWakeUp   = 12
)

// Values of SensorVoltageAlarm and SensorTemperatureAlarm, in the order of
// their States.
const (
	AlarmNone = 0
	// AlarmLow and AlarmHigh: beyond the limit of normal operation.
	AlarmLow  = 1
	AlarmHigh = 2
	// AlarmCriticallyLow and AlarmCriticallyHigh: beyond what the part stands.
	AlarmCriticallyLow  = 3
	AlarmCriticallyHigh = 4
	// AlarmRaised: the chip does not say in which direction.
	AlarmRaised = 5
)

// Values of ProtectionState, in the order of its States.
const (
	ProtectionUnknown = 0
	ProtectionReady   = 1
	ProtectionTripped = 2
)

// Values of PortStatus, in the order of its States (TR-181
// Ethernet.Interface.{i}.Status).
const (
	PortStatusUnknown        = 0
	PortStatusUp             = 1
	PortStatusDown           = 2
	PortStatusDormant        = 3
	PortStatusNotPresent     = 4
	PortStatusLowerLayerDown = 5
)

// Values of PortDuplex, in the order of its States.
const (
	DuplexUnknown = 0
	DuplexHalf    = 1
	DuplexFull    = 2
)

// Values of RadioBand, in the order of its States.
const (
	BandUnknown = 0
	Band2G4     = 1
	Band5G      = 2
	Band6G      = 3
	Band60G     = 4
)

// Values of OpticState, in the order of its States: ITU-T G.984.3, G.9807.1.
const (
	OpticStateUnknown = 0
	OpticStateO1      = 1
	OpticStateO5      = 5
	OpticStateO9      = 9
)

// WeakSignal is the mean signal, in dBm, below which a station counts as weak
// in RadioWeakStations: between the -70 of light use and the -80 that guides to
// the deployment of wireless networks call unreliable.
const WeakSignal = -75

var (
	noYes       = []string{"no", "yes"}
	portStates  = []string{"Unknown", "Up", "Down", "Dormant", "NotPresent", "LowerLayerDown"}
	duplexModes = []string{"Unknown", "Half", "Full"}
	lineStates  = []string{"Unknown", "Up", "Initializing", "EstablishingLink", "NoSignal", "Disabled", "Error"} //nolint:misspell // TR-181 spells it so
	profiles    = []string{"Unknown", "8a", "8b", "8c", "8d", "12a", "12b", "17a", "30a", "35b", "106a", "106b", "106c", "212a", "212c"}
	standards   = []string{"Unknown", "G.992.1", "G.992.3", "G.992.5", "G.993.1", "G.993.2", "G.9700"}
	powerStates = []string{"Unknown", "L0", "L1", "L2", "L3"}
	onuStates   = []string{"Unknown", "O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9"}
	ponModes    = []string{"Unknown", "G-PON", "XG-PON", "NG-PON2", "XGS-PON"}
	linkTypes   = []string{"Unknown", "DSL", "Ethernet", "SFP", "PON", "Cellular"}
	protocols   = []string{"Unknown", "DHCP", "PPP", "Static"}
	wanErrors   = []string{"Unknown", "None", "Other", "Timeout", "AuthenticationFailure", "NoCarrier", "NoAnswer", "ServerRefused"}
	restarts    = []string{"Unknown", "PowerOn", "Planned", "Watchdog", "Crash", "BrownOut", "OverVoltage", "Overheat", "User", "Upgrade", "External", "Fan", "WakeUp"}
	alarms      = []string{"None", "Low", "High", "CriticallyLow", "CriticallyHigh", "Raised"}
	protections = []string{"Unknown", "Ready", "Tripped"}
	bands       = []string{"Unknown", "2.4GHz", "5GHz", "6GHz", "60GHz"}
)

const (
	x       = VendorPrefix
	device  = "DeviceInfo."
	port    = "Ethernet.Interface.{i}."
	radio   = "WiFi.Radio.{i}."
	station = "WiFi.AccessPoint.{i}.AssociatedDevice.{i}."
	dsl     = "DSL.Line.{i}."
	channel = "DSL.Channel.{i}."
	optical = "Optical.Interface.{i}."
	xcvr    = "XPON.ONU.{i}.ANI.{i}.Transceiver.{i}."
	ip      = "IP.Interface.{i}."
	probe   = x + "Probe.{i}."
	reboots = device + "Reboots."
)

// metrics is the catalogue, in ascending order of ID. Intervals, purposes and
// resolutions follow the agent's design; TR-181 names are of Device:2.18.
var metrics = []Metric{
	{UpTime, device + "UpTime", "", "s", 0, Gauge, 1, Essential, slow, nil, "Time since the box booted."},
	{StateSpaceFree, device + x + "StateSpaceFree", "", "KiBy", 0, Gauge, 64, Essential, slow, nil, "Free space on the file system that holds the agent's state."},

	{CPUUsage, device + "ProcessStatus.CPUUsage", "", "%", -1, Gauge, 5, Support, slow, nil, "Share of processor time that was not idle since the previous reading."},
	{LoadAverage, device + x + "LoadAverage1", "", "1", -2, Gauge, 5, Support, slow, nil, "Load average over one minute."},
	{MemoryTotal, device + "MemoryStatus.Total", "", "KiBy", 0, Gauge, 1, Support, slow, nil, "Memory of the box that the kernel manages."},
	{MemoryFree, device + "MemoryStatus.Free", "", "KiBy", 0, Gauge, 256, Support, slow, nil, "Memory that is not used at all."},
	{MemoryAvailable, device + "MemoryStatus." + x + "Available", "", "KiBy", 0, Gauge, 256, Support, slow, nil, "Memory that programs can get without swapping (kernel's MemAvailable)."},

	{SensorTemperature, device + "TemperatureStatus.TemperatureSensor.{i}.Value", "sensor", "Cel", -3, Gauge, 500, Essential, fast, nil, "Temperature of a sensor of the box; absent where the sensor reports -274 or nothing."},
	{SensorVoltage, device + x + "VoltageSensor.{i}.Value", "sensor", "V", -3, Gauge, 10, Essential, fast, nil, "Voltage of a supply rail."},
	{SensorCurrent, device + x + "CurrentSensor.{i}.Value", "sensor", "A", -3, Gauge, 1, Essential, fast, nil, "Current through a sensor, such as the bias of an optical module."},
	{SensorPower, device + x + "PowerSensor.{i}.Value", "sensor", "W", -6, Gauge, 1, Essential, fast, nil, "Power at a sensor, such as the light of an optical module."},
	{SensorFan, device + x + "FanSensor.{i}.Value", "sensor", "/min", 0, Gauge, 50, Essential, fast, nil, "Speed of a fan."},

	{PortStatus, port + "Status", "interface", "1", 0, State, 1, Essential, fast, portStates, "Operational state of the interface (RFC 2863 operStatus)."},
	{PortCarrier, port + x + "Carrier", "interface", "1", 0, State, 1, Essential, fast, noYes, "Whether the interface has a link."},
	{PortCarrierUps, port + "Stats." + x + "CarrierUps", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Times the link came up."},
	{PortCarrierDowns, port + "Stats." + x + "CarrierDowns", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Times the link went down."},
	{PortBitRate, port + "CurrentBitRate", "interface", "Mbit/s", 0, Gauge, 1, Essential, fast, nil, "Speed that the link was negotiated to; absent without a link."},
	{PortDuplex, port + "DuplexMode", "interface", "1", 0, State, 1, Essential, fast, duplexModes, "Duplex mode that the link was negotiated to."},
	{PortErrorsReceived, port + "Stats.ErrorsReceived", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Packets received with an error."},
	{PortErrorsSent, port + "Stats.ErrorsSent", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Packets that could not be sent because of an error."},
	{PortDropsReceived, port + "Stats.DiscardPacketsReceived", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Good packets dropped on receipt."},
	{PortDropsSent, port + "Stats.DiscardPacketsSent", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Good packets dropped before sending."},
	{PortCRCErrors, port + "Stats." + x + "CRCErrors", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Frames received with a wrong checksum."},
	{PortCounterResets, port + "Stats." + x + "Resets", "interface", "1", 0, Counter, 1, Essential, fast, nil, "Times the interface's counters started again from zero (told apart from wraps)."},
	{PortBytesReceived, port + "Stats.BytesReceived", "interface", "By", 0, Counter, 1000, Support, fast, nil, "Bytes received."},
	{PortBytesSent, port + "Stats.BytesSent", "interface", "By", 0, Counter, 1000, Support, fast, nil, "Bytes sent."},
	{PortPacketsReceived, port + "Stats.PacketsReceived", "interface", "1", 0, Counter, 10, Support, fast, nil, "Packets received."},
	{PortPacketsSent, port + "Stats.PacketsSent", "interface", "1", 0, Counter, 10, Support, fast, nil, "Packets sent."},

	{RadioChannel, radio + "Channel", "radio", "1", 0, Gauge, 1, Support, fast, nil, "Primary channel."},
	{RadioBand, radio + "OperatingFrequencyBand", "radio", "1", 0, State, 1, Support, fast, bands, "Frequency band."},
	{RadioBandwidth, radio + "CurrentOperatingChannelBandwidth", "radio", "MHz", 0, Gauge, 1, Support, fast, nil, "Channel width."},
	{RadioNoise, radio + "Stats.Noise", "radio", "dB[mW]", 0, Gauge, 1, Support, fast, nil, "Noise floor on the channel in use; absent where the driver does not measure it."},
	{RadioActiveTime, radio + "Stats." + x + "ActiveTime", "radio", "ms", 0, Counter, 10, Support, fast, nil, "Time the radio was on the channel in use (nl80211 survey TIME)."},
	{RadioBusyTime, radio + "Stats." + x + "BusyTime", "radio", "ms", 0, Counter, 10, Support, fast, nil, "Part of ActiveTime in which the channel was sensed busy."},
	{RadioRxTime, radio + "Stats." + x + "ReceiveTime", "radio", "ms", 0, Counter, 10, Support, fast, nil, "Part of ActiveTime spent receiving."},
	{RadioTxTime, radio + "Stats." + x + "TransmitTime", "radio", "ms", 0, Counter, 10, Support, fast, nil, "Part of ActiveTime spent transmitting."},
	{RadioBSSRxTime, radio + "Stats." + x + "OwnReceiveTime", "radio", "ms", 0, Counter, 10, Support, fast, nil, "Part of ActiveTime spent receiving for this access point."},
	{RadioTxPower, radio + x + "TransmitPower", "radio", "dB[mW]", -2, Gauge, 50, Support, fast, nil, "Transmit power in force."},
	{RadioStations, "WiFi.AccessPoint.{i}.AssociatedDeviceNumberOfEntries", "interface", "1", 0, Gauge, 1, Support, fast, nil, "Associated stations."},
	{RadioWeakStations, "WiFi.AccessPoint.{i}." + x + "WeakDeviceNumberOfEntries", "interface", "1", 0, Gauge, 1, Support, fast, nil, "Associated stations whose mean signal is below -75 dBm."},

	{StationSignal, station + "SignalStrength", "station", "dB[mW]", 0, Gauge, 1, Personalised, fast, nil, "Mean signal that the access point receives from the station."},
	{StationSignalLast, station + x + "LastSignalStrength", "station", "dB[mW]", 0, Gauge, 1, Personalised, fast, nil, "Signal of the last frame received from the station."},
	{StationDownlinkRate, station + "LastDataDownlinkRate", "station", "kbit/s", 0, Gauge, 100, Personalised, fast, nil, "Physical rate of the last transmission to the station."},
	{StationUplinkRate, station + "LastDataUplinkRate", "station", "kbit/s", 0, Gauge, 100, Personalised, fast, nil, "Physical rate of the last reception from the station."},
	{StationDownlinkMCS, station + x + "DownlinkMCS", "station", "1", 0, Gauge, 1, Personalised, fast, nil, "Modulation and coding scheme index of the last transmission to the station."},
	{StationUplinkMCS, station + x + "UplinkMCS", "station", "1", 0, Gauge, 1, Personalised, fast, nil, "Modulation and coding scheme index of the last reception from the station."},
	{StationDownlinkNSS, station + x + "DownlinkStreams", "station", "1", 0, Gauge, 1, Personalised, fast, nil, "Spatial streams of the last transmission to the station."},
	{StationUplinkNSS, station + x + "UplinkStreams", "station", "1", 0, Gauge, 1, Personalised, fast, nil, "Spatial streams of the last reception from the station."},
	{StationDownlinkWidth, station + x + "DownlinkBandwidth", "station", "MHz", 0, Gauge, 1, Personalised, fast, nil, "Channel width of the last transmission to the station."},
	{StationUplinkWidth, station + x + "UplinkBandwidth", "station", "MHz", 0, Gauge, 1, Personalised, fast, nil, "Channel width of the last reception from the station."},
	{StationRetries, station + "Stats.RetransCount", "station", "1", 0, Counter, 1, Personalised, fast, nil, "Frames to the station that needed at least one retry."},
	{StationFailures, station + "Stats.FailedRetransCount", "station", "1", 0, Counter, 1, Personalised, fast, nil, "Frames to the station given up after the last retry."},
	{StationInactive, station + x + "InactiveTime", "station", "ms", 0, Gauge, 1000, Personalised, fast, nil, "Time since the station was last heard."},
	{StationRxAirtime, station + "Stats." + x + "ReceiveAirtime", "station", "us", 0, Counter, 1000, Personalised, fast, nil, "Air time of frames received from the station."},
	{StationTxAirtime, station + "Stats." + x + "TransmitAirtime", "station", "us", 0, Counter, 1000, Personalised, fast, nil, "Air time of frames sent to the station."},
	{StationBytesSent, station + "Stats.BytesSent", "station", "By", 0, Counter, 1000, Personalised, fast, nil, "Bytes sent to the station."},
	{StationBytesReceived, station + "Stats.BytesReceived", "station", "By", 0, Counter, 1000, Personalised, fast, nil, "Bytes received from the station."},
	{StationPacketsSent, station + "Stats.PacketsSent", "station", "1", 0, Counter, 10, Personalised, fast, nil, "Packets sent to the station."},
	{StationPacketsReceived, station + "Stats.PacketsReceived", "station", "1", 0, Counter, 10, Personalised, fast, nil, "Packets received from the station."},
	{StationConnectedTime, station + x + "ConnectedTime", "station", "s", 0, Gauge, 1, Personalised, fast, nil, "Time since the station associated."},
	{StationBeaconLoss, station + "Stats." + x + "BeaconLoss", "station", "1", 0, Counter, 1, Personalised, fast, nil, "Times the beacon was lost (seen where the box itself is the station)."},
	{StationRxDrops, station + "Stats." + x + "ReceiveDrops", "station", "1", 0, Counter, 1, Personalised, fast, nil, "Packets received from the station and dropped."},
	{StationAckSignal, station + x + "AckSignalStrength", "station", "dB[mW]", 0, Gauge, 1, Personalised, fast, nil, "Mean signal of the station's acknowledgements."},
	{StationExpectedThroughput, station + x + "ExpectedThroughput", "station", "kbit/s", 0, Gauge, 1000, Personalised, fast, nil, "Throughput that rate control expects."},

	{LineStatus, dsl + "LinkStatus", "line", "1", 0, State, 1, Essential, slow, lineStates, "State of the DSL line."},
	{LineLastChange, dsl + "LastChange", "line", "s", 0, Gauge, 1, Essential, slow, nil, "Time since the line's state last changed: in state Up, the showtime."},
	{LineDownRate, channel + "DownstreamCurrRate", "line", "kbit/s", 0, Gauge, 1, Essential, slow, nil, "Net data rate in force, downstream."},
	{LineUpRate, channel + "UpstreamCurrRate", "line", "kbit/s", 0, Gauge, 1, Essential, slow, nil, "Net data rate in force, upstream."},
	{LineDownMaxRate, dsl + "DownstreamMaxBitRate", "line", "kbit/s", 0, Gauge, 8, Essential, slow, nil, "Attainable net data rate, downstream."},
	{LineUpMaxRate, dsl + "UpstreamMaxBitRate", "line", "kbit/s", 0, Gauge, 8, Essential, slow, nil, "Attainable net data rate, upstream."},
	{LineDownMargin, dsl + "DownstreamNoiseMargin", "line", "dB", -1, Gauge, 1, Essential, slow, nil, "Signal-to-noise ratio margin, downstream (ITU-T G.997.1 SNRM)."},
	{LineUpMargin, dsl + "UpstreamNoiseMargin", "line", "dB", -1, Gauge, 1, Essential, slow, nil, "Signal-to-noise ratio margin, upstream."},
	{LineDownAttenuation, dsl + "DownstreamAttenuation", "line", "dB", -1, Gauge, 1, Essential, slow, nil, "Attenuation, downstream (ITU-T G.997.1 LATN, or SATN where the box gives that)."},
	{LineUpAttenuation, dsl + "UpstreamAttenuation", "line", "dB", -1, Gauge, 1, Essential, slow, nil, "Attenuation, upstream."},
	{LineDownPower, dsl + x + "DownstreamPower", "line", "dB[mW]", -1, Gauge, 1, Essential, slow, nil, "Aggregate transmit power of the exchange (ITU-T G.997.1 ACTATP)."},
	{LineUpPower, dsl + x + "UpstreamPower", "line", "dB[mW]", -1, Gauge, 1, Essential, slow, nil, "Aggregate transmit power of the box."},
	{LineRetrains, dsl + "Stats.Total." + x + "LinkRetrain", "line", "1", 0, Counter, 1, Essential, slow, nil, "Times the line trained anew."},
	{LineInitErrors, dsl + "Stats.Total." + x + "InitErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Trainings that ended in an error."},
	{LineInitTimeouts, dsl + "Stats.Total." + x + "InitTimeouts", "line", "1", 0, Counter, 1, Essential, slow, nil, "Trainings that timed out."},
	{LineDownES, dsl + "Stats.Total.ErroredSecs", "line", "s", 0, Counter, 1, Essential, slow, nil, "Errored seconds at the near end."},
	{LineUpES, dsl + "Stats.Total." + x + "FarErroredSecs", "line", "s", 0, Counter, 1, Essential, slow, nil, "Errored seconds at the far end."},
	{LineDownSES, dsl + "Stats.Total.SeverelyErroredSecs", "line", "s", 0, Counter, 1, Essential, slow, nil, "Severely errored seconds at the near end."},
	{LineUpSES, dsl + "Stats.Total." + x + "FarSeverelyErroredSecs", "line", "s", 0, Counter, 1, Essential, slow, nil, "Severely errored seconds at the far end."},
	{LineDownUAS, dsl + "Stats.Total." + x + "UnavailableSecs", "line", "s", 0, Counter, 1, Essential, slow, nil, "Unavailable seconds at the near end (ITU-T G.997.1 UAS)."},
	{LineUpUAS, dsl + "Stats.Total." + x + "FarUnavailableSecs", "line", "s", 0, Counter, 1, Essential, slow, nil, "Unavailable seconds at the far end."},
	{LineDownLOS, dsl + "Stats.Total." + x + "LossOfSignal", "line", "1", 0, Counter, 1, Essential, slow, nil, "Losses of signal at the near end: seconds or events, as the box counts."},
	{LineUpLOS, dsl + "Stats.Total." + x + "FarLossOfSignal", "line", "1", 0, Counter, 1, Essential, slow, nil, "Losses of signal at the far end."},
	{LineDownLOF, dsl + "Stats.Total." + x + "LossOfFraming", "line", "1", 0, Counter, 1, Essential, slow, nil, "Losses of framing at the near end."},
	{LineUpLOF, dsl + "Stats.Total." + x + "FarLossOfFraming", "line", "1", 0, Counter, 1, Essential, slow, nil, "Losses of framing at the far end."},
	{LineDownFEC, channel + "Stats.Total.XTURFECErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Blocks corrected by forward error correction, downstream."},
	{LineUpFEC, channel + "Stats.Total.XTUCFECErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Blocks corrected by forward error correction, upstream."},
	{LineDownCRC, channel + "Stats.Total.XTURCRCErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Checksum errors (code violations), downstream."},
	{LineUpCRC, channel + "Stats.Total.XTUCCRCErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Checksum errors (code violations), upstream."},
	{LineDownHEC, channel + "Stats.Total.XTURHECErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Header errors, downstream."},
	{LineUpHEC, channel + "Stats.Total.XTUCHECErrors", "line", "1", 0, Counter, 1, Essential, slow, nil, "Header errors, upstream."},
	{LineDownLOM, dsl + "Stats.Total." + x + "LossOfMargin", "line", "1", 0, Counter, 1, Essential, slow, nil, "Losses of margin at the near end."},
	{LineProfile, dsl + "CurrentProfile", "line", "1", 0, State, 1, Essential, slow, profiles, "VDSL2 or G.fast profile in force."},
	{LineStandard, dsl + "StandardUsed", "line", "1", 0, State, 1, Essential, slow, standards, "Standard in force."},
	{LineElectricalLength, dsl + "UPBOKLE", "line", "dB", -1, Gauge, 1, Essential, slow, nil, "Estimated electrical loop length (ITU-T G.997.1 UPBOKLE)."},
	{LineDownRetransmits, dsl + "Stats.Total." + x + "RetransmittedDTUs", "line", "1", 0, Counter, 1, Essential, slow, nil, "Data transfer units received after a retransmission (ITU-T G.998.4)."},
	{LineDownUncorrected, dsl + "Stats.Total." + x + "UncorrectedDTUs", "line", "1", 0, Counter, 1, Essential, slow, nil, "Data transfer units that retransmission could not correct, downstream."},
	{LineUpRetransmits, dsl + "Stats.Total." + x + "FarRetransmittedDTUs", "line", "1", 0, Counter, 1, Essential, slow, nil, "Data transfer units that the box sent again."},
	{LineUpUncorrected, dsl + "Stats.Total." + x + "FarUncorrectedDTUs", "line", "1", 0, Counter, 1, Essential, slow, nil, "Data transfer units that retransmission could not correct, upstream."},
	{LinePowerState, dsl + x + "PowerManagementState", "line", "1", 0, State, 1, Essential, slow, powerStates, "Power management state of the line."},

	{OpticRxPower, optical + "OpticalSignalLevel", "port", "dB[mW]", -3, Gauge, 10, Essential, slow, nil, "Power of the light received."},
	{OpticTxPower, optical + "TransmitOpticalLevel", "port", "dB[mW]", -3, Gauge, 10, Essential, slow, nil, "Power of the light sent."},
	{OpticBias, xcvr + "Bias", "port", "A", -6, Gauge, 10, Essential, slow, nil, "Bias current of the laser."},
	{OpticVoltage, xcvr + "Voltage", "port", "V", -4, Gauge, 10, Essential, slow, nil, "Supply voltage of the optical module."},
	{OpticTemperature, xcvr + "Temperature", "port", "Cel", -3, Gauge, 500, Essential, slow, nil, "Temperature of the optical module."},
	{OpticState, "XPON.ONU.{i}.ANI.{i}.TC.ONUActivation.ONUState", "port", "1", 0, State, 1, Essential, slow, onuStates, "State of the ONU's activation; O5 is operation."},
	{OpticRxPowerLow, optical + "LowerOpticalThreshold", "port", "dB[mW]", -3, Gauge, 1, Essential, slow, nil, "Power received below which the ONU alarms; absent where it has its own policy."},
	{OpticRxPowerHigh, optical + "UpperOpticalThreshold", "port", "dB[mW]", -3, Gauge, 1, Essential, slow, nil, "Power received above which the ONU alarms; absent where it has its own policy."},
	{OpticTxPowerLow, optical + "LowerTransmitPowerThreshold", "port", "dB[mW]", -3, Gauge, 1, Essential, slow, nil, "Power sent below which the ONU alarms; absent where it has its own policy."},
	{OpticTxPowerHigh, optical + "UpperTransmitPowerThreshold", "port", "dB[mW]", -3, Gauge, 1, Essential, slow, nil, "Power sent above which the ONU alarms; absent where it has its own policy."},
	{OpticMode, xcvr + "PONMode", "port", "1", 0, State, 1, Essential, slow, ponModes, "Kind of passive optical network."},
	{OpticDownRate, optical + x + "DownstreamCurrRate", "port", "kbit/s", 0, Gauge, 1, Essential, slow, nil, "Line rate, downstream."},
	{OpticUpRate, optical + x + "UpstreamCurrRate", "port", "kbit/s", 0, Gauge, 1, Essential, slow, nil, "Line rate, upstream."},
	{OpticRogueEvents, optical + "Stats." + x + "RogueEvents", "port", "1", 0, Counter, 1, Essential, slow, nil, "Times the ONU was found to send out of turn."},
	{OpticLossOfSignal, optical + x + "LossOfSignal", "port", "1", 0, State, 1, Essential, slow, noYes, "Whether the module sees no light."},
	{OpticTransmitFault, optical + x + "TransmitFault", "port", "1", 0, State, 1, Essential, slow, noYes, "Whether the module's transmitter is at fault."},

	{WANStatus, ip + "Status", "interface", "1", 0, State, 1, Essential, slow, portStates, "State of the connection to the network."},
	{WANLinkType, ip + x + "LinkType", "interface", "1", 0, State, 1, Essential, slow, linkTypes, "What the connection runs over."},
	{WANProtocol, ip + x + "Protocol", "interface", "1", 0, State, 1, Essential, slow, protocols, "How the connection gets its address."},
	{WANIPv4, ip + x + "IPv4Up", "interface", "1", 0, State, 1, Essential, slow, noYes, "Whether the connection has an IPv4 address."},
	{WANIPv6, ip + x + "IPv6Up", "interface", "1", 0, State, 1, Essential, slow, noYes, "Whether the connection has an IPv6 address or prefix."},
	{WANUpTime, ip + x + "UpTime", "interface", "s", 0, Gauge, 1, Essential, slow, nil, "Time since the connection came up."},
	{WANLastError, ip + x + "LastConnectionError", "interface", "1", 0, State, 1, Essential, slow, wanErrors, "Why the connection last failed: history, also while it is up."},

	{ProbeRTT, probe + "RoundTripTime", "reflector", "us", 0, Gauge, 10, Support, slow, nil, "Mean round trip time of a round of probes (RFC 8762, or ICMP echo)."},
	{ProbeRTTMin, probe + "MinimumRoundTripTime", "reflector", "us", 0, Gauge, 10, Support, slow, nil, "Least round trip time of a round of probes."},
	{ProbeJitter, probe + "Jitter", "reflector", "us", 0, Gauge, 10, Support, slow, nil, "Mean difference of successive round trip times (RFC 3393, absolute)."},
	{ProbeSent, probe + "PacketsSent", "reflector", "1", 0, Counter, 1, Support, slow, nil, "Probes sent."},
	{ProbeReceived, probe + "PacketsReceived", "reflector", "1", 0, Counter, 1, Support, slow, nil, "Probes answered in time."},
	{ProbeSkipped, probe + "RoundsSkipped", "reflector", "1", 0, Counter, 1, Support, slow, nil, "Rounds left out because the line was busy or the day's packets were used up."},

	{RadioUtilisation, radio + x + "ChannelUtilisation", "radio", "%", 0, Gauge, 1, Support, slow, nil, "Load of the channel in use, where the box gives no times."},
	{RadioInterference, radio + x + "Interference", "radio", "%", 0, Gauge, 1, Support, slow, nil, "Part of the channel's time taken by others."},
	{StationNoise, station + "Noise", "station", "dB[mW]", 0, Gauge, 1, Personalised, fast, nil, "Noise that the access point hears with the station's signal."},
	{StationSNR, station + "SNR", "station", "dB", 0, Gauge, 1, Personalised, fast, nil, "Signal-to-noise ratio of the station at the access point."},

	{RadioAssociationFailures, "WiFi.AccessPoint.{i}." + x + "AssociationFailures", "interface", "1", 0, Counter, 1, Support, fast, nil, "Times a device tried to join the network and did not get in (wrong key, refused, gave up)."},

	{RestartReason, reboots + x + "Teller.{i}.Reason", "teller", "1", 0, State, 1, Essential, slow, restarts, "Why the box last restarted, as one part of it tells."},
	{Restarts, reboots + "BootCount", "", "1", 0, Counter, 1, Essential, slow, nil, "Times the box has booted."},
	{WatchdogRestarts, reboots + "WatchdogBootCount", "", "1", 0, Counter, 1, Essential, slow, nil, "Times the watchdog restarted the box."},
	{ColdRestarts, reboots + "ColdBootCount", "", "1", 0, Counter, 1, Essential, slow, nil, "Boots after the power had been away."},
	{WarmRestarts, reboots + "WarmBootCount", "", "1", 0, Counter, 1, Essential, slow, nil, "Boots while the power stayed."},
	{VersionRestarts, reboots + "CurrentVersionBootCount", "", "1", 0, Counter, 1, Essential, slow, nil, "Boots since the firmware was last upgraded."},
	{CrashRecords, device + x + "CrashRecords", "", "1", 0, Gauge, 1, Essential, slow, nil, "Records of crashes that the kernel keeps over restarts (pstore)."},
	{SensorVoltageAlarm, device + x + "VoltageSensor.{i}.Alarm", "sensor", "1", 0, State, 1, Essential, fast, alarms, "Whether the supply rail has left its band, as its own chip says."},
	{SensorVoltageLowest, device + x + "VoltageSensor.{i}.Lowest", "sensor", "V", -3, Gauge, 10, Essential, fast, nil, "Lowest voltage of the supply rail that its chip has seen: between two readings too."},
	{SensorVoltageHighest, device + x + "VoltageSensor.{i}.Highest", "sensor", "V", -3, Gauge, 10, Essential, fast, nil, "Highest voltage of the supply rail that its chip has seen."},
	{SensorTemperatureAlarm, device + "TemperatureStatus.TemperatureSensor.{i}." + x + "Alarm", "sensor", "1", 0, State, 1, Essential, fast, alarms, "Whether the temperature is beyond its limit, as its own chip says."},
	{LightningDistance, device + x + "Lightning.{i}.Distance", "sensor", "m", 0, Gauge, 1000, Essential, slow, nil, "Estimated distance to the head of the storm; absent where none is in range."},
	{LightningStrikes, device + x + "Lightning.{i}.Strikes", "sensor", "1", 0, Counter, 1, Essential, slow, nil, "Strikes that the lightning sensor heard."},
	{LightningNoise, device + x + "Lightning.{i}.Noise", "sensor", "1", 0, State, 1, Essential, slow, noYes, "Whether noise keeps the lightning sensor from hearing."},
	{ProtectionState, device + x + "Protection.{i}.State", "device", "1", 0, State, 1, Essential, slow, protections, "State of a surge protection device, by its own contact."},
	{KernelMessages, device + x + "KernelMessage.{i}.Count", "class", "1", 0, Counter, 1, Essential, slow, nil, "Messages of the kernel of one class, such as faults of ports or of flash."},
	{KernelMessagesUntold, device + x + "KernelMessagesUntold", "", "1", 0, Counter, 1, Essential, slow, nil, "Messages of the kernel that were overwritten before they could be read."},
}
