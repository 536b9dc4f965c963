package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/cache"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/report"
	"github.com/doorward/doorward/internal/unpack"
)

// Report inspects what lies at a path, or takes the report of an earlier
// inspection of the same bytes by the same program with the same options.
// Secrets are masked unless ShowSecrets is set; then there is no cache, since a
// cache must not hold them.
func Report(ctx context.Context, path string, opt Options) (*doorward.Report, error) {
	if opt.Progress != nil {
		defer opt.Progress(Progress{}) // the line goes when the work is done
	}
	key := ""
	if opt.Cache != nil && !opt.ShowSecrets {
		var err error
		if key, opt.digest, err = keyOf(ctx, path, opt); err != nil {
			return nil, err
		}
		if key != "" {
			if r := cached(opt.Cache, key); r != nil {
				return untimed(r, opt), nil
			}
		}
	}
	r, err := inspected(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	if key != "" && ctx.Err() == nil && repeatable(r) {
		if b, err := json.Marshal(r); err == nil {
			opt.Cache.Put(key, b)
		}
	}
	return untimed(r, opt), nil
}

func inspected(ctx context.Context, path string, opt Options) (*doorward.Report, error) {
	opt.NoTimes = false // a cached report serves both
	p, closer, err := Open(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	defer closer()
	r, err := Inspect(ctx, p, opt)
	if err == nil && !opt.ShowSecrets {
		report.Mask(r)
	}
	return r, err
}

func untimed(r *doorward.Report, opt Options) *doorward.Report {
	if opt.NoTimes {
		report.DropTimes(r)
	}
	return r
}

func cached(c *cache.Cache, key string) *doorward.Report {
	b := c.Get(key)
	if b == nil {
		return nil
	}
	var r doorward.Report
	if json.Unmarshal(b, &r) != nil {
		return nil // its digest fits, so that another program wrote it for this one
	}
	return &r
}

// repeatable says that a report depends on nothing but its key: a detector that
// failed and time that ran out are the machine's.
func repeatable(r *doorward.Report) bool {
	for _, d := range r.Tool.Detectors {
		if d.Status != "ran" {
			return false
		}
	}
	for _, u := range r.Unread {
		if u.Reason == "limit" {
			return false
		}
	}
	return true
}

// keyOf names everything that a report depends on. The key is empty for a
// folder, whose files must all be read before it is known to be the same.
func keyOf(ctx context.Context, path string, opt Options) (key, digest string, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", "", nil // Open says what is wrong
	}
	if digest, err = fileDigest(ctx, path, opt); err != nil {
		return "", "", fmt.Errorf("%s can't be read: %w", path, cause(err))
	}
	k := cache.NewKey()
	k.Add("program", opt.Program)
	k.Add("artifact", digest)
	k.Add("name", filepath.Base(path))
	k.Add("date", opt.At.Format(time.DateOnly))
	k.Add("options", fmt.Sprintf("%+v %t", opt.Limits.Or(), opt.AnyVersion))
	for _, key := range opt.Keys {
		k.Add("key", key.Digest()) // what was read with it is another report
	}
	for _, file := range opt.Declared {
		if info, err := os.Stat(file); err == nil && info.Size() > declare.MaxSize {
			return "", digest, nil // reading it says that it is too large
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", digest, nil // reading it again says what is wrong
		}
		k.Add("declaration "+filepath.Base(file), string(text))
	}
	if opt.Marks != "" {
		text, err := os.ReadFile(opt.Marks)
		if err != nil {
			return "", digest, nil
		}
		k.Add("marks "+opt.Marks, string(text))
	}
	return k.String(), digest, nil
}

func fileDigest(ctx context.Context, path string, opt Options) (string, error) {
	data, closer, err := unpack.File(path)
	if err != nil {
		return "", err
	}
	defer closer.Close()
	read := int64(0)
	return unpack.Digest(ctx, data, func(n int64) {
		if read += n; opt.Progress != nil {
			opt.Progress(Progress{Stage: "reading", Read: read, All: data.Size()})
		}
	})
}

// Program is the digest of this program's own file: two builds with equal
// versions may still hold other detectors. It must be asked for before Confine.
func Program() (string, error) {
	file, err := os.Executable()
	if err != nil {
		return "", err
	}
	return fileDigest(context.Background(), file, Options{})
}
