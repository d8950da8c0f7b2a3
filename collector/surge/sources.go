package surge

import "livebox-agent/collector"

// Sources returns every source of this package. Those that are watchers too
// have to be run as such: they count what they hear.
func Sources(c Config) []collector.Source {
	return []collector.Source{NewRestarts(c), NewKernel(c), NewLightning(c), NewProtection(c)}
}
