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

// WeakSignal is the mean signal, in dBm, below which a station counts as weak
// in RadioWeakStations: beyond it Wi-Fi is unreliable (fact sheet domain §2.2,
// wireless deployment guides there).
const WeakSignal = -75

var (
	noYes       = []string{"no", "yes"}
	portStates  = []string{"Unknown", "Up", "Down", "Dormant", "NotPresent", "LowerLayerDown"}
	duplexModes = []string{"Unknown", "Half", "Full"}
	bands       = []string{"Unknown", "2.4GHz", "5GHz", "6GHz", "60GHz"}
)

const (
	x       = VendorPrefix
	device  = "DeviceInfo."
	port    = "Ethernet.Interface.{i}."
	radio   = "WiFi.Radio.{i}."
	station = "WiFi.AccessPoint.{i}.AssociatedDevice.{i}."
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
}
