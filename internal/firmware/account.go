package firmware

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/crypt"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// Account finds logins that somebody outside could use.
var Account = &Detector{
	Name: "account",
	Doc: "Logins with a usable or fixed credential. It reads password files by their structure wherever they lie, tries their hashes " +
		"against published default passwords, and follows the scripts that make accounts and passwords when the product runs.",
	Kinds:    []doorward.Kind{doorward.KindAccount},
	Requires: []string{"startup"},
	Patterns: slices.Concat(accountPatterns, accountScriptPatterns, accountConfigPatterns, accountServicePatterns, clientPatterns, []string{"BusyBox v"}),
	Scope:    detect.ProductAll,
	Run:      runAccount,
}

var accountPatterns = []string{":0:0:", ":x:", ":/bin/", ":/sbin/", ":99999:", ":$1$", ":$5$", ":$6$", ":$2", ":$y$", ":::"}

// accounts is one run of the detector.
type accounts struct {
	product *product.Product
	log     *startup.Log
	out     *detect.Sink
	tries   *tries
	ways    map[*product.Volume]*loginWays
	dbs     map[*product.Volume][]*userFile

	made     []madeUser
	preseeds map[string]answer
	asked    map[*product.File][]answer
	events   map[*product.File]map[int]*startup.Event
}

func runAccount(ctx context.Context, p *product.Product, out *detect.Sink) error {
	a := &accounts{
		product: p, log: startup.Of(p), out: out, tries: newTries(),
		ways: map[*product.Volume]*loginWays{}, dbs: map[*product.Volume][]*userFile{},
	}
	for _, step := range []func(){a.passwordFiles, a.madeAccounts, a.webPasswords, a.configs, a.services, a.access, a.longTexts} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		step()
	}
	return nil
}

// login is an account at work, before it is a door.
type login struct {
	user, shell, madeBy string
	uid                 int // -1 if unknown
	password            *string
	hash                *crypt.Hash
	credential          string // "" if unknown
	gain                doorward.Gain
	reach               doorward.Reach
	hidden              doorward.Hidden
	lighter             int             // steps by which what was found makes it matter less
	limit               doorward.Weight // not above this, if set
	certainty           doorward.Certainty
	title, check        string
	where               []doorward.Where
	evidence            []doorward.Evidence
	secrets             []string
}

// setHash tries a hash and says what it is.
func (a *accounts) setHash(l *login, h *crypt.Hash) (note string) {
	l.hash, l.credential = h, "fixed"
	r := a.tries.find(h, l.user)
	switch {
	case r.found && r.password == "":
		l.credential, l.password = "empty", &r.password
		return "the hash is that of the empty password"
	case r.found:
		l.credential, l.password = "default", &r.password
		return "the hash is that of a published default password"
	case !h.Can():
		return "a " + h.Kind + " hash that is the same on every unit; this kind was not tried against published defaults"
	case r.all:
		return fmt.Sprintf("a %s hash that is the same on every unit; none of %d published default passwords gives it", h.Kind, r.count)
	}
	return fmt.Sprintf("a %s hash that is the same on every unit; %d published default passwords were tried, as many as the work limit allows", h.Kind, r.count)
}

// setPassword takes a password in clear.
func (l *login) setPassword(password string) {
	l.password = &password
	switch {
	case password == "":
		l.credential = "empty"
	case publishedPasswords().isDefault(l.user, password):
		l.credential = "default"
	default:
		l.credential = "fixed"
	}
}

// report makes the door.
func (a *accounts) report(l login) {
	detail := doorward.Detail{"user": l.user}
	set := func(key, value string) {
		if value != "" {
			detail[key] = value
		}
	}
	set("credential", l.credential)
	set("shell", l.shell)
	set("made_by", l.madeBy)
	if l.uid >= 0 {
		detail["uid"] = l.uid
	}
	secrets := l.secrets
	if l.password != nil {
		set("password", *l.password)
		secrets = append(secrets, *l.password)
	}
	if l.hash != nil {
		detail["hash_type"] = l.hash.Kind
		secrets = append(secrets, l.hash.Text)
	}
	a.out.Door(doorward.Door{
		Kind: doorward.KindAccount, Title: l.title, Weight: l.weight(),
		Reach: l.reach, Stages: []doorward.Stage{doorward.Access}, Certainty: l.certainty, Where: l.where, Evidence: l.evidence,
		Check: l.check, References: l.references(), Detail: detail, Secrets: withoutEmpty(secrets),
	})
}

func (l *login) weight() doorward.Weight {
	w := doorward.Weigh(l.gain, l.reach, l.hidden, false).Down(l.lighter)
	if l.limit != "" && w.Rank() > l.limit.Rank() {
		return l.limit
	}
	return w
}

func (l *login) references() []string {
	switch l.credential {
	case "default":
		return []string{"CWE-1392", "CWE-798", "T1078.001"}
	case "empty", "none":
		return []string{"CWE-258", "CWE-306", "T1078"}
	}
	return []string{"CWE-798", "T1078"}
}

// lineEvidence is a line as evidence.
func lineEvidence(f *product.File, line int, text, note string) doorward.Evidence {
	return doorward.Evidence{What: clip(strings.TrimSpace(text), 300), Note: note, Line: line, Path: innerPath(f)}
}

// innerPath is the file's path inside the product.
func innerPath(f *product.File) string {
	if list := f.Where(); len(list) > 0 {
		return list[0].Inner()
	}
	return f.Path
}

// checkLine says how to see a line by hand.
func checkLine(f *product.File, line int) string {
	if line <= 0 {
		return "unpack the product and look at " + f.Path
	}
	return "unpack the product; sed -n " + strconv.Itoa(line) + "p " + f.Path
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

func withoutEmpty(list []string) []string {
	var kept []string
	for _, s := range list {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}
