package firmware

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/doorward/doorward/internal/crypt"
)

//go:embed data/passwords.txt
var passwordTable string

// published is the table of published default passwords.
type published struct {
	byUser map[string][]string
	common []string
	known  map[string]bool // every password of the table
}

var publishedPasswords = sync.OnceValue(func() *published {
	t := &published{byUser: map[string][]string{}, known: map[string]bool{}}
	for line := range strings.Lines(passwordTable) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if user, password, ok := strings.Cut(line, ":"); ok {
			t.byUser[user] = append(t.byUser[user], password)
			t.known[password] = true
			continue
		}
		t.common = append(t.common, line)
		t.known[line] = true
	}
	return t
})

// list is what is worth trying for a user, most likely first, each once.
func (t *published) list(user string) []string {
	guesses := append([]string{"", user}, t.byUser[user]...)
	if user != "" {
		guesses = append(guesses, user+"123", user+"1234")
	}
	guesses = append(guesses, t.common...)
	seen := map[string]bool{}
	kept := guesses[:0]
	for _, g := range guesses {
		if !seen[g] {
			seen[g] = true
			kept = append(kept, g)
		}
	}
	return kept
}

// isDefault says that a password in clear is a published one, or the user's
// own name.
func (t *published) isDefault(user, password string) bool {
	return password == user || t.known[password]
}

// tries is the work that may go into trying passwords, in what crypt.Hash.Cost
// counts; it depends on the input alone, so that results repeat.
type tries struct {
	left int
	done map[string]tried
}

type tried struct {
	password string
	found    bool
	count    int // how many were tried
	all      bool
}

const (
	triesPerProduct = 2_000_000
	triesPerHash    = 500_000
)

func newTries() *tries { return &tries{left: triesPerProduct, done: map[string]tried{}} }

// find looks for the password of a hash.
func (t *tries) find(h *crypt.Hash, user string) tried {
	key := h.Text + "\x00" + user
	if r, ok := t.done[key]; ok {
		return r
	}
	r := tried{}
	if h.Can() {
		r = t.search(h, user)
	}
	t.done[key] = r
	return r
}

func (t *tries) search(h *crypt.Hash, user string) tried {
	r := tried{}
	spent := 0
	for _, password := range publishedPasswords().list(user) {
		if spent+h.Cost > triesPerHash || t.left < h.Cost {
			return r
		}
		spent += h.Cost
		t.left -= h.Cost
		r.count++
		if h.Verify(user, password) {
			r.password, r.found = password, true
			return r
		}
	}
	r.all = true
	return r
}
