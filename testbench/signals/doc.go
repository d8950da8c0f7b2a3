// Package signals makes labelled traces of homes and measures the agent's
// detectors on them: what they find, how soon, and how often they are wrong.
//
// # What is promised
//
//   - The same seed and options give the same trace, sign for sign.
//   - What truly happened in a trace is written down by the trace itself, and
//     no detector sees it.
//
// # The homes
//
// The traces are synthetic. Rates of what confounds are those of the project's
// model of the field: a copper line in half of the homes and fibre in the
// others; noise that is first-order autoregressive, a day's rhythm, registers
// with coarse steps; on lines night-time noise, impulse noise (3 % of lines,
// three bursts a day), rain (5 %, 1 to 6 dB for days), line management
// (0.02 a night); a box that is moved or knocked; cold starts and busy hours
// in temperatures; converters that now and then give nothing, rails that
// follow the processor's clock; devices unplugged (0.05 a day and port),
// computers that start, links that sleep; stations that come, go, move, fade
// and are far but quiet; streets that share too little in the evening, the
// home's own downloads; radios that change channel, ovens; devices that fail
// to join once, or for ever; restarts (0.03 a day), power cuts and holidays,
// homes that switch the box off at night (5 %). For episodes there are the links
// of ports besides, devices that stay off after a power cut and cables that are
// pulled together. Figures measure agreement with this model; they are no promise
// about the field.
package signals
