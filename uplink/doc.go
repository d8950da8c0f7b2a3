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
//   - The first connection after the box started comes after a random wait up to
//     power_return_wait; where only the agent started, up to a minute.
//   - A wait that the CEM asks for (retry_after), up to a day, is kept before each
//     connection until it asks for another; boxes spread over half of it more.
//   - A peer that fell silent is noticed by the keepalive, or by the next report
//     that it does not answer. The broker says of a box that went without a
//     farewell that it is gone.
//   - Only the configured CA is trusted. While the clock is unknown the date
//     check of the broker's certificate is put off, nothing else, and that is
//     said in a health state.
//   - Each connection is a full handshake of TLS 1.3, without session tickets, in
//     which the box shows its own certificate alone.
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
