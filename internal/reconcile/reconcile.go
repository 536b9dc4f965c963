// Package reconcile holds doors against declarations: which are declared,
// which are not, and which contradict what the maker states. It is pure: no
// clock, no files.
package reconcile

import (
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Options are what the judgement depends on besides doors and declarations.
type Options struct {
	At         string               // YYYY-MM-DD; claims whose until lies before it have expired. Empty: none has
	AnyVersion bool                 // use declarations that name another version or hash (--declared-version any)
	Versions   []string             // further versions that the artifact tells of itself
	Components []doorward.Component // of the product, for claims that hold inside one component
	Drafted    bool                 // drafted claims declare, too (to see what is drafted already)
}

// Status gives every door its status and the narrowest claim that declares it,
// and says of every claim what became of it. Neither argument is changed.
func Status(doors []doorward.Door, declarations []*doorward.Declaration, subject doorward.Subject, opt Options) ([]doorward.Door, []doorward.DeclarationUse) {
	doors = slices.Clone(doors)
	parents := newParents(opt.Components)
	claims := usable(declarations, subject, opt)
	for i := range doors {
		doors[i].Status, doors[i].DeclaredBy = doorward.Undeclared, nil
		doors[i].Denied, doors[i].AlsoDenied = nil, nil
		declare(&doors[i], claims, parents)
	}
	for i := range doors {
		deny(&doors[i], claims, parents)
	}
	uses := []doorward.DeclarationUse{}
	for _, c := range claims {
		uses = append(uses, c.use())
	}
	return doors, uses
}

// claim is a claim at work.
type claim struct {
	*doorward.Claim
	document *doorward.Declaration
	index    int
	dead     bool // declares nothing: mismatched, expired or drafted
	notes    []string
	matched  int
	conflict int // doors that it denies and another claim declares
}

// usable lists the claims of all declarations, with notes on those that do not
// hold. A document without a claim on doors is listed too.
func usable(declarations []*doorward.Declaration, subject doorward.Subject, opt Options) []*claim {
	var claims []*claim
	for _, d := range declarations {
		dead, note := binding(d, subject, opt)
		list := d.Claims
		if len(list) == 0 {
			list = []doorward.Claim{{Text: "says nothing of doors"}}
		}
		for i := range list {
			c := &claim{Claim: &list[i], document: d, index: i, dead: dead}
			c.note(note)
			c.note(list[i].Note)
			if list[i].Until != "" && opt.At != "" && list[i].Until < opt.At {
				c.dead = true
				c.note("expired: it held until " + list[i].Until)
			}
			if list[i].Purpose == doorward.ToState && !opt.Drafted {
				c.dead = true
				c.note("drafted: it declares nothing until its purpose is stated")
			}
			claims = append(claims, c)
		}
		for _, url := range d.SBOMs {
			claims = append(claims, &claim{Claim: &doorward.Claim{Text: "SBOM at " + url}, document: d, dead: true})
		}
	}
	return claims
}

func (c *claim) note(text string) {
	if text != "" {
		c.notes = append(c.notes, text)
	}
}

// declare finds the claims that declare a door; the narrowest is named.
func declare(d *doorward.Door, claims []*claim, parents parents) {
	var best *claim
	for _, c := range claims {
		if c.dead || c.Says != doorward.SaysDoor || !parents.within(d.Component, c.Within) || !matches(d, c.Claim) {
			continue
		}
		c.matched++
		if best == nil || c.narrowness() > best.narrowness() {
			best = c
		}
	}
	if best == nil {
		return
	}
	d.Status = doorward.Declared
	d.DeclaredBy = &doorward.DeclaredBy{
		Document: best.document.Document, Pointer: best.Pointer, Claim: best.Text, Purpose: best.Purpose,
	}
}

// narrowness is larger for a claim that fits fewer doors.
func (c *claim) narrowness() int {
	n := 0
	if c.Within != nil {
		n = 1000
	}
	for _, p := range c.Pairs {
		n += 10
		if isWide(p) {
			n -= 5
		}
	}
	return n
}

// deny finds the claims that a door contradicts.
func deny(d *doorward.Door, claims []*claim, parents parents) {
	for _, c := range claims {
		if c.dead || !parents.within(d.Component, c.Within) || !denies(c.Claim, d) {
			continue
		}
		if d.Status == doorward.Declared {
			if c.Says == doorward.SaysNoDoor {
				c.conflict++
			}
			continue
		}
		c.matched++
		by := doorward.DeclaredBy{Document: c.document.Document, Pointer: c.Pointer, Claim: strings.TrimSpace(string(c.Says) + " " + c.Text)}
		if d.Status == doorward.Undeclared {
			d.Status, d.Denied = doorward.Contradicts, &by
		} else {
			d.AlsoDenied = append(d.AlsoDenied, by)
		}
	}
}

// hidden are the kinds that the three-part statement (no unwanted outflow,
// manipulation or injection of data) speaks of.
var hidden = []doorward.Kind{
	doorward.KindTrigger, doorward.KindLogic, doorward.KindTransfer, doorward.KindUpdate, doorward.KindAccount,
}

func denies(c *doorward.Claim, d *doorward.Door) bool {
	switch c.Says {
	case doorward.SaysNoDoor:
		return slices.Contains(c.Kinds, d.Kind)
	case doorward.SaysNoHidden:
		return slices.Contains(hidden, d.Kind) && d.Weight.Rank() >= doorward.High.Rank()
	}
	return false
}
