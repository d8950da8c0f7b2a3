package buffer

import (
	"errors"
	"fmt"
	"time"
)

// Config is what the owner of the box decides about the buffer.
type Config struct {
	// RAMBytes bounds what is kept in memory, the index of what is on flash
	// included.
	RAMBytes int64 `toml:"ram_bytes"`
	// FlashBytes bounds the files in the directory; 0 keeps everything in
	// memory.
	FlashBytes int64 `toml:"flash_bytes"`
	// FlashDailyBytes bounds what is written to flash in 24 hours of running.
	FlashDailyBytes int64 `toml:"flash_daily_bytes"`
	// SpillAfter is how long a window may be in memory only: what a power cut
	// can cost at most.
	SpillAfter time.Duration `toml:"spill_after"`
}

// DefaultConfig is right for a gateway with 4 MiB of flash to spare.
func DefaultConfig() Config {
	return Config{
		RAMBytes:        512 << 10,
		FlashBytes:      4 << 20,
		FlashDailyBytes: 4 << 20,
		SpillAfter:      15 * time.Minute,
	}
}

// Bounds of the configuration.
const (
	minRAM   = 64 << 10
	minFlash = 512 << 10
	// A 32-bit process must find room for the mapping.
	maxFlash = 256 << 20
	minDaily = 512 << 10
)

// Validate reports every problem, not only the first.
func (c Config) Validate() error {
	var errs []error
	if c.RAMBytes < minRAM {
		errs = append(errs, fmt.Errorf("ram_bytes: %d is below %d", c.RAMBytes, minRAM))
	}
	if c.FlashBytes != 0 && (c.FlashBytes < minFlash || c.FlashBytes > maxFlash) {
		errs = append(errs, fmt.Errorf("flash_bytes: %d is neither 0 nor from %d to %d", c.FlashBytes, minFlash, maxFlash))
	}
	if c.FlashBytes != 0 && c.FlashDailyBytes < minDaily {
		errs = append(errs, fmt.Errorf("flash_daily_bytes: %d is below %d", c.FlashDailyBytes, minDaily))
	}
	if c.SpillAfter < time.Second || c.SpillAfter > 24*time.Hour {
		errs = append(errs, fmt.Errorf("spill_after: %v is not from 1s to 24h", c.SpillAfter))
	}
	return errors.Join(errs...)
}
