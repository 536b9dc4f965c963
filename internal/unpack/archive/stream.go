package archive

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/stream"
)

// streamReaders are the readers of compressed streams by the words of headers.
var streamReaders = map[string]*unpack.Reader{
	"gzip": stream.Gzip, "bzip2": stream.Bzip2, "xz": stream.XZ, "lzma": stream.LZMA, "zstd": stream.Zstd,
}

// decodeStream decodes a whole compressed stream into memory that the budget
// counts. Damage gives what was decoded before it with the error.
func decodeStream(in *unpack.Input, method string, data unpack.Bytes) (unpack.Slice, error) {
	if method == "identity" || method == "" {
		return unpack.ReadAll(data, in.Budget.Limits.Memory)
	}
	r := streamReaders[method]
	if r == nil {
		return nil, fmt.Errorf("compression method %q: %w", method, unpack.ErrUnsupported)
	}
	o, err := r.Open(&unpack.Input{Context: in.Context, Data: data, Whole: true, Budget: in.Budget})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, errDamaged)
	}
	if len(o.Parts) != 1 {
		return nil, fmt.Errorf("%s: %w", method, errDamaged)
	}
	out, ok := o.Parts[0].Data.(unpack.Slice)
	if !ok {
		return nil, fmt.Errorf("%s: %w", method, errDamaged)
	}
	return out, o.Err
}

var (
	errDamaged = errors.New("damaged")
	errShort   = errors.New("the packed data end too early")
)
