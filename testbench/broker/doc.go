// Package broker runs the lab's MQTT broker: an embedded NATS server whose
// JetStream keeps what the boxes send.
//
// # What is promised
//
//   - A client without a certificate, or with one of another authority, is
//     refused; so is a certificate whose common name cannot be a box, and an
//     MQTT client identifier other than the common name.
//   - A box reaches its own topics and nothing else, by last will neither.
//   - What a stream holds was synced to disk first, and is there again after a
//     restart on the same directory, as is a retained status.
//
// The rights of a box are the file shipped/nats-permissions.conf, which the
// broker reads itself, those of a CEM that comes by MQTT with a certificate of
// its own nats-cem-permissions.conf; shipped/mosquitto.acl says the same for
// Mosquitto, and tests hold them together.
package broker
