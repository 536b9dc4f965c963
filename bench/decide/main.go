// Command decide measures decisions: one product of many components under many
// rules, and a change of a list over many stored decisions.
//
//	go run ./bench/decide
//
// The workload is fixed: every tenth rule has a `when:`, and the change concerns
// one maker in ten.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/policy"
)

func main() {
	components := flag.Int("components", 10_000, "components of the one product")
	rules := flag.Int("rules", 100, "rules of the policy")
	stored := flag.Int("stored", 100_000, "stored decisions")
	prof := flag.String("cpuprofile", "", "write a profile of the processor to FILE")
	flag.Parse()
	if *prof != "" {
		f, err := os.Create(*prof)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	log.SetFlags(0)
	if err := one(os.Stdout, *components, *rules); err != nil {
		log.Fatal("one product: ", err)
	}
	if err := many(os.Stdout, *stored); err != nil {
		log.Fatal("stored decisions: ", err)
	}
}

// one decides a product with many components.
func one(w io.Writer, components, rules int) error {
	p, err := policy.Load("bench.yaml", policyText(rules, makers))
	if err != nil {
		return err
	}
	c := product(0, components)
	start, busy := time.Now(), cpu()
	d, err := policy.Decide(p, "high", c)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d components x %d rules: %.2f s (bound 3), %.2f s of processor time; %s, %d reasons; peak memory %d MB (bound 300)\n",
		components, rules, time.Since(start).Seconds(), (cpu() - busy).Seconds(), d.Result, len(d.Reasons), peak()>>20)
	return nil
}

// many stores decisions with what they were made of, changes a list, and decides
// again those that the change can touch. It checks a sample of the others.
func many(w io.Writer, n int) error {
	store, err := newStore(n)
	if err != nil {
		return err
	}
	defer store.close()
	before, err := policy.Load("bench.yaml", policyText(20, makers))
	if err != nil {
		return err
	}
	after, err := policy.Load("bench.yaml", policyText(20, makers*8/10))
	if err != nil {
		return err
	}
	var watch policy.Watch
	results := make([]doorward.Result, n)
	if err := store.each(all(n), func(i int32, c policy.Case) error {
		names, err := policy.Names(before, c)
		if err != nil {
			return err
		}
		d, err := policy.Decide(before, "high", c)
		if err != nil {
			return err
		}
		store.mu.Lock()
		defer store.mu.Unlock()
		watch.Add(i, names)
		results[i] = d.Result
		return nil
	}); err != nil {
		return err
	}
	runtime.GC()
	start, busy := time.Now(), cpu()
	names, everything := policy.Changed(before, after)
	if everything {
		return fmt.Errorf("only the list should differ")
	}
	affected := watch.Affected(names)
	changed := 0
	err = store.each(affected, func(i int32, c policy.Case) error {
		d, err := policy.Decide(after, "high", c)
		if err == nil && d.Result != results[i] {
			store.mu.Lock()
			changed++
			store.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "a change of %d of %d makers over %d stored decisions: %.2f s (bound 60), %.2f s of processor time; %d decided again, %d changed\n",
		len(names), makers, n, time.Since(start).Seconds(), (cpu() - busy).Seconds(), len(affected), changed)
	return store.check(affected, results, after)
}

func all(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// store keeps cases as JSON in one file, as a server would keep them elsewhere.
type store struct {
	mu   sync.Mutex
	file *os.File
	at   []int64 // where each begins; one more at the end
}

func newStore(n int) (*store, error) {
	f, err := os.CreateTemp("", "doorward-bench-decide-")
	if err != nil {
		return nil, err
	}
	s := &store{file: f, at: []int64{0}}
	for i := range n {
		b, err := json.Marshal(product(i, 10))
		if err == nil {
			_, err = f.Write(b)
		}
		if err != nil {
			s.close()
			return nil, err
		}
		s.at = append(s.at, s.at[i]+int64(len(b)))
	}
	return s, nil
}

func (s *store) close() {
	s.file.Close()
	os.Remove(s.file.Name())
}

func (s *store) read(i int32) (c policy.Case, err error) {
	b := make([]byte, s.at[i+1]-s.at[i])
	if _, err = s.file.ReadAt(b, s.at[i]); err == nil {
		err = json.Unmarshal(b, &c)
	}
	return c, err
}

// each calls do for cases, on all cores.
func (s *store) each(list []int32, do func(int32, policy.Case) error) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make(chan error, workers)
	for k := range workers {
		go func() {
			var err error
			for j := k; j < len(list) && err == nil; j += workers {
				var c policy.Case
				if c, err = s.read(list[j]); err == nil {
					err = do(list[j], c)
				}
			}
			errs <- err
		}()
	}
	var first error
	for range workers {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// check decides every hundredth of the decisions that were left alone.
func (s *store) check(affected []int32, results []doorward.Result, p *policy.Policy) error {
	touched := map[int32]bool{}
	for _, i := range affected {
		touched[i] = true
	}
	for i := int32(0); int(i) < len(results); i += 100 {
		if touched[i] {
			continue
		}
		c, err := s.read(i)
		if err != nil {
			return err
		}
		if d, err := policy.Decide(p, "high", c); err != nil || d.Result != results[i] {
			return fmt.Errorf("decision %d was left alone, and became %v (%v)", i, d, err)
		}
	}
	return nil
}
