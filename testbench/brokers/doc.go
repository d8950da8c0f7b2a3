// Package brokers runs four brokers of MQTT as they are shipped for boxes, and
// measures by one suite what each of them guarantees: the embedded NATS server,
// Mosquitto, RabbitMQ with its MQTT plug-in, and mochi-mqtt.
//
// # What is promised
//
//   - Each broker is a process of its own, with the configuration and the
//     rules of access that are shipped for it, and can be killed.
//   - Whatever the broker loses, refuses or does not say, the agent loses
//     nothing: the suite fails where a report is missing or counted twice.
//   - No box reaches another's topics on any of them; the suite fails where one
//     does.
//   - The table of guarantees is what the suite measured, and BROKERS.md is
//     that table.
package brokers
