package firmware

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

//go:embed data/setup-options.txt
var setupOptions string

// setupRule is a line of the table.
type setupRule struct {
	what string
	on   bool // the answer that opens
	re   *regexp.Regexp
}

var setupRules = sync.OnceValue(func() (list []setupRule) {
	for line := range strings.Lines(setupOptions) {
		if f := strings.SplitN(strings.TrimSpace(line), " ", 3); len(f) == 3 && f[0] != "#" {
			list = append(list, setupRule{f[0], f[1] == "on", regexp.MustCompile(f[2])})
		}
	}
	return list
})

// What an option opens: how the door is classed, and in words.
var setupWhat = map[string]struct {
	kind   doorward.Kind
	what   string
	reach  doorward.Reach
	gain   doorward.Gain
	effect string
}{
	"jtag":       {doorward.KindDebug, "jtag", doorward.Physical, doorward.Control, "opens the processor to a debugger at a connector"},
	"serial":     {doorward.KindDebug, "serial-console", doorward.Physical, doorward.UserData, "puts the setup pages and the boot menu on the serial line"},
	"password":   {doorward.KindDebug, "setup", doorward.Physical, doorward.UserData, "lets the start pass without the password"},
	"flash":      {doorward.KindPrivilege, "flash-lock", doorward.Local, doorward.Control, "leaves the flash open to software with enough rights"},
	"descriptor": {doorward.KindPrivilege, "flash-descriptor", doorward.Local, doorward.Control, "leaves the management engine's flash open to software with enough rights"},
}

var (
	answerOn  = regexp.MustCompile(`^(?:enabled?|yes|on|unlocked?|true)$`)
	answerOff = regexp.MustCompile(`^(?:disabled?|no|off|locked?|false)$`)
)

// setup finds options of the setup pages that open a way in.
func (b *bootFirmware) setup(f *product.File) {
	all := f.Bytes()
	list := englishTexts(all, f.Hits(englishMark))
	if len(list) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, forms := range formPackages(all) {
		texts := textsFor(forms, list)
		if texts == nil {
			continue
		}
		b.out.Looked(doorward.KindDebug, 1, "setup page")
		for _, q := range forms.questions {
			prompt := words(texts.text[q.prompt])
			for _, rule := range setupRules() {
				if rule.re.MatchString(strings.ToLower(prompt)) {
					if key := rule.what + " " + prompt; !seen[key] {
						seen[key] = b.setupOption(f, forms, texts, q, rule, prompt)
					}
					break
				}
			}
		}
	}
}

// words makes white space single.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// opens says what a question's answer means: on and off are words of its
// options. known is false for other words.
func (r setupRule) opens(q *setupQuestion, texts *hiiTexts, value uint64) (open, known bool, word string) {
	if q.checkbox {
		word = map[bool]string{true: "on", false: "off"}[value != 0]
		return (value != 0) == r.on, true, word
	}
	id, ok := q.options[value]
	if !ok {
		return false, false, ""
	}
	word = words(texts.text[id])
	switch w := strings.ToLower(word); {
	case answerOn.MatchString(w):
		return r.on, true, word
	case answerOff.MatchString(w):
		return !r.on, true, word
	}
	return false, false, word
}

// setupOption reports an option: a door if its answer leaves the way open, and a
// hint at the option if not. It says if it did.
func (b *bootFirmware) setupOption(f *product.File, forms *setupForms, texts *hiiTexts, q *setupQuestion, rule setupRule, prompt string) bool {
	if q.hasValue == false && len(q.options) == 0 {
		return false
	}
	w := setupWhat[rule.what]
	value, from, known := q.value, "default in the forms", q.hasValue
	if v, place, ok := b.stored(forms, q); ok {
		value, from, known = v, "stored in "+place, true
	}
	open, sure, word := rule.opens(q, texts, value)
	store := forms.stores[q.store]
	note := fmt.Sprintf("the option %s", w.effect)
	if store.name != "" {
		note += fmt.Sprintf("; it is kept in the variable %s-%s at 0x%x", store.name, strings.ToLower(store.guid), q.offset)
	}
	if q.hidden {
		note += "; the pages never show it"
	}
	d := doorward.Door{
		Kind: w.kind, Reach: w.reach, Stages: []doorward.Stage{doorward.Access}, Where: f.WhereAt(q.at),
		References: []string{"CWE-1191", "CWE-1233"}, Detail: doorward.Detail{"what": w.what, "path": f.Path, "condition": "setup option " + prompt},
		Evidence: []doorward.Evidence{{What: prompt, Path: f.Path, Offset: &q.at}},
		Check:    "Read the option in the setup pages, or the variable from the running product with efivar.",
	}
	if known && sure && open {
		d.Title = fmt.Sprintf("setup option %s is %s: it %s", prompt, word, w.effect)
		d.Certainty, d.Weight = doorward.Likely, doorward.Weigh(w.gain, w.reach, doorward.Open, false)
		d.Detail["default"] = word
		d.Evidence[0].Note = note + "; its answer is " + word + " (" + from + "); assumes that the firmware does as its pages say"
	} else {
		d.Title = fmt.Sprintf("there is a setup option %s, which %s", prompt, w.effect)
		d.Certainty, d.Weight = doorward.Hint, doorward.Info
		if known && word != "" {
			d.Detail["default"] = word
			note += "; its answer is " + word + " (" + from + ")"
		}
		d.Evidence[0].Note = note
	}
	b.out.Door(d)
	return true
}

// stored is the answer that a variable of the product holds.
func (b *bootFirmware) stored(forms *setupForms, q *setupQuestion) (uint64, string, bool) {
	s, ok := forms.stores[q.store]
	if !ok || s.name == "" {
		return 0, "", false
	}
	for _, v := range b.product.Volumes {
		name := s.name + "-" + strings.ToLower(s.guid)
		f := v.File(name)
		if f == nil || f.Deleted() {
			continue
		}
		data := f.Bytes()
		if int(q.offset)+q.width > len(data) {
			continue
		}
		var raw [8]byte
		copy(raw[:], data[q.offset:int(q.offset)+q.width])
		return le.Uint64(raw[:]), name, true
	}
	return 0, "", false
}
