package broker

import (
	"context"
	"fmt"
	"log/slog"
)

// A logger passes on what the server says. All of it is for the developer: what
// an operator must know the lab says itself.
type logger struct {
	log *slog.Logger
}

func (l *logger) say(severity, format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("broker said", "severity", severity, "text", fmt.Sprintf(format, args...))
	}
}

// Noticef implements server.Logger, as do the methods below.
func (l *logger) Noticef(format string, v ...any) { l.say("notice", format, v) }

// Warnf passes on a warning.
func (l *logger) Warnf(format string, v ...any) { l.say("warning", format, v) }

// Fatalf passes on what the server cannot go on with; the server's start then
// times out.
func (l *logger) Fatalf(format string, v ...any) { l.say("fatal", format, v) }

// Errorf passes on an error.
func (l *logger) Errorf(format string, v ...any) { l.say("error", format, v) }

// Debugf passes on a detail.
func (l *logger) Debugf(format string, v ...any) { l.say("debug", format, v) }

// Tracef passes on a protocol message.
func (l *logger) Tracef(format string, v ...any) { l.say("trace", format, v) }
