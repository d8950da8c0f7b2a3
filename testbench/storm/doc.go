// Package storm lets power return to a street, a town, a region and the whole
// country, and shows what their boxes then do to a broker.
//
// Two ways, held together by a test: real uplinks, thousands in one process,
// each with an identity of its own; and a simulation of up to twelve million
// boxes whose waits come from the uplink's own code. Beside it stand the
// policies of others.
//
// # What is promised
//
//   - The agent's waits are drawn by the code that the box runs.
//   - The same seed gives the same figures and the same pictures.
//   - The simulation and real uplinks agree on how often boxes try and when
//     they are back.
//   - What is said of paho is what paho does.
package storm
