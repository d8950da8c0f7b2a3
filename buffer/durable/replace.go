package durable

import (
	"errors"
	"io/fs"
)

// MayReplace tells whether a file that Read refused with err may be written
// anew: it is not there, or nobody can make anything of it. What a newer
// version wrote, and what the device does not give at this moment, may be of
// use again.
func MayReplace(err error) bool {
	return err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged)
}
