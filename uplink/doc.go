// Package uplink delivers the reports of a box to the CEM over MQTT 3.1.1: one
// connection at a time, two lanes, its own reconnect loop, and one rule for
// when a report counts as delivered.
//
// # What is promised
//
//   - A report leaves the queue when the CEM says that it stored it and for no
//     other reason; with acknowledgement = "broker", when the broker sent its
//     PUBACK on the very connection that carried the report.
//   - What the broker accepted and the CEM did not store is sent again on the
//     next connection or after a long, doubling wait, never in a tight loop,
//     and becomes the health state not_stored.
//   - Events go before windows; after an outage the newest window goes first
//     and the backlog follows, oldest first, at a capped and jittered rate.
//   - While the connection is metered only events are sent; what waited then goes
//     as after an outage.
//   - No more bytes a second are published than bandwidth says, over all
//     connections; only the last status at a stop does not wait for its turn.
//   - A report that can never be sent holds up no other.
//   - No box connects twice within its backoff, whatever the broker does; a
//     fleet that lost power together comes back spread out.
//   - Only the configured CA is trusted. While the clock is unknown the date
//     check of the broker's certificate is put off, nothing else, and that is
//     said in a health state.
//   - Nothing that a broker sends makes the agent panic, hold more than a
//     bounded number of packets of bounded size, or leave a goroutine behind.
//   - Run ends within a few seconds of its context (one write_timeout more
//     where a write hangs), with a last status that says so where there is a
//     connection.
//
// The library's own reconnecting is not used: with it, a token of a QoS 1
// publish completes without error when a connection is lost and comes back,
// PUBACK or not (eclipse-paho/paho.mqtt.golang issue 563).
package uplink
