package report

import (
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// levels gives SARIF's level and rank for a weight.
var levels = map[doorward.Weight]struct {
	level string
	rank  float64
}{
	doorward.Critical: {"error", 100}, doorward.High: {"error", 80}, doorward.Medium: {"warning", 60},
	doorward.Low: {"note", 30}, doorward.Info: {"note", 10},
}

func sarifDoor(d *doorward.Door) sarifResult {
	level := levels[d.Weight]
	if level.level == "" {
		level.level = "none"
	}
	result := sarifResult{
		RuleID: string(d.Kind), RuleIndex: slices.Index(doorward.Kinds, d.Kind), Level: level.level, Rank: level.rank,
		Message: message(d.Title), Locations: []sarifLocation{},
		Fingerprints: map[string]string{"doorwardDoor/v1": d.ID},
		Properties: map[string]any{
			"weight": d.Weight, "reach": d.Reach, "stages": some(d.Stages), "certainty": d.Certainty, "status": d.Status, "detail": d.Detail,
			"references": some(d.References),
		},
	}
	if d.Check != "" {
		result.Properties["check"] = plainLines(d.Check)
	}
	for _, w := range d.Where {
		result.Locations = append(result.Locations, locate(w))
	}
	if len(result.Locations) > 0 && len(d.Evidence) > 0 {
		result.Locations[0] = atEvidence(result.Locations[0], d.Evidence[0])
	}
	for i, e := range d.Evidence {
		result.Related = append(result.Related, relate(d, i+1, e))
	}
	for _, ref := range d.References {
		if strings.HasPrefix(ref, "CWE-") {
			result.Taxa = append(result.Taxa, sarifReference{ref, map[string]any{"name": "CWE"}})
		}
	}
	result.Suppressions = suppressions(d)
	return result
}

// suppressions: what is declared, accepted or a false alarm needs no attention
// in tools that show SARIF. A door that contradicts a declaration does.
func suppressions(d *doorward.Door) []sarifSuppression {
	var list []sarifSuppression
	if d.Status == doorward.Declared {
		why := "declared"
		if by := d.DeclaredBy; by != nil {
			why = plain("declared in " + by.Document + " at " + by.Pointer)
			if by.Purpose != "" && by.Purpose != doorward.ToState {
				why += ": " + plain(by.Purpose)
			}
		}
		list = append(list, sarifSuppression{"external", "accepted", why})
	}
	if m := d.Mark; m != nil {
		list = append(list, sarifSuppression{"external", "accepted", plain(m.State + " on " + m.Date + ": " + m.Reason)})
	}
	return list
}

// locate says where something is: the file as a physical location, the whole
// way to it, with regions and parts, as a logical one.
func locate(w doorward.Where) sarifLocation {
	uri := w.Inner()
	if uri == "" && len(w.Path) > 0 {
		uri = w.Path[0]
	}
	l := sarifLocation{
		Physical: &sarifPhysical{Artifact: sarifURI{fileURI(uri)}},
		Logical:  []sarifLogical{{QualifiedName: strings.Join(w.Path, "!"), Kind: "resource"}},
	}
	if w.Offset != nil {
		l.Physical.Region = region(*w.Offset)
	}
	if w.Function != "" {
		l.Logical = append(l.Logical, sarifLogical{Name: w.Function, QualifiedName: w.Function, Kind: "function"})
	}
	return l
}

func region(offset int64) *sarifRegion {
	none := int64(0)
	return &sarifRegion{ByteOffset: &offset, ByteLength: &none}
}

// atEvidence adds the line of a door's first evidence, if it is in the same
// file.
func atEvidence(l sarifLocation, e doorward.Evidence) sarifLocation {
	if e.Path == "" && e.Line > 0 {
		l.Physical.Region = &sarifRegion{StartLine: e.Line}
	}
	return l
}

// relate makes a related location of a piece of evidence.
func relate(d *doorward.Door, id int, e doorward.Evidence) sarifLocation {
	var l sarifLocation
	switch {
	case e.Path != "":
		l = sarifLocation{Physical: &sarifPhysical{Artifact: sarifURI{fileURI(e.Path)}}}
	case len(d.Where) > 0:
		l = locate(d.Where[0])
		l.Logical = nil
	}
	if l.Physical != nil {
		l.Physical.Region = nil
		switch {
		case e.Line > 0:
			l.Physical.Region = &sarifRegion{StartLine: e.Line}
		case e.Offset != nil:
			l.Physical.Region = region(*e.Offset)
		}
	}
	text := e.What
	if e.Note != "" {
		text += "\n" + e.Note
	}
	said := message(text)
	l.ID, l.Message = id, &said
	return l
}
