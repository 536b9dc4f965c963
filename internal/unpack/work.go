package unpack

// work is the analysis of one content, under way or done. Equal contents wait
// for one analysis; archives that contain themselves, or each other in a ring,
// must not wait for ever.
type work struct {
	done    chan struct{}
	up      *work // the analysis of the content that it lies in
	depth   int
	code    bool // a CodePart
	raw     bool // no file of a tree, nor the decompressed content of one
	content *Content
}

type wait struct{ from, to *work }

// claim returns the analysis of a digest, and whether the caller has to do it.
func (x *explorer) claim(digest string, up *work, raw bool) (*work, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w := x.known[digest]; w != nil {
		return w, false
	}
	w := &work{done: make(chan struct{}), up: up, raw: raw}
	if up != nil {
		w.depth = up.depth + 1
	}
	x.known[digest] = w
	return w, true
}

// await waits until w is done. It returns false at once if w can't be done
// before up is.
func (x *explorer) await(w, up *work) bool {
	x.mu.Lock()
	if x.needs(w, up, 0) {
		x.mu.Unlock()
		return false
	}
	x.waits = append(x.waits, wait{up, w})
	x.mu.Unlock()
	<-w.done
	x.mu.Lock()
	for i, v := range x.waits {
		if v.from == up && v.to == w {
			x.waits = append(x.waits[:i], x.waits[i+1:]...)
			break
		}
	}
	x.mu.Unlock()
	return true
}

// needs says that w, still under way, can't end before target does: target
// lies in w, or something in w waits for what needs target.
func (x *explorer) needs(w, target *work, rounds int) bool {
	select {
	case <-w.done:
		return false
	default:
	}
	if target.within(w) {
		return true
	}
	if rounds > len(x.waits) {
		return false
	}
	for _, v := range x.waits {
		if v.from.within(w) && x.needs(v.to, target, rounds+1) {
			return true
		}
	}
	return false
}

func (w *work) within(outer *work) bool {
	for ; w != nil; w = w.up {
		if w == outer {
			return true
		}
	}
	return false
}
