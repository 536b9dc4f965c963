package attest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/doorward/doorward"
)

// reportPredicate says which report on the artifact was signed. The report
// stays in its file.
type reportPredicate struct {
	Report  doorward.DecisionInput `json:"report"`
	Summary doorward.Summary       `json:"summary"`
	Tool    Tool                   `json:"tool"` // that signed
}

// Report makes the statement on a report, not signed yet. name and text are
// those of its file.
func Report(name string, text []byte, r *doorward.Report, tool Tool) (*Envelope, error) {
	sum := sha256.Sum256(text)
	return newStatement([]doorward.DecisionSubject{{Name: r.Subject.Name, SHA256: r.Subject.SHA256}}, ReportType, reportPredicate{
		doorward.DecisionInput{Role: "report", Name: name, SHA256: hex.EncodeToString(sum[:])}, r.Summary, tool,
	})
}

// OpenReport says which report an envelope is about.
func OpenReport(e *Envelope) (report doorward.DecisionInput, subject doorward.DecisionSubject, err error) {
	var p reportPredicate
	s, err := e.Statement()
	if err == nil {
		err = s.predicate(ReportType, &p)
	}
	switch {
	case err != nil:
		return report, subject, err
	case len(s.Subject) != 1:
		return report, subject, fmt.Errorf("a report is of one artifact, not of %d", len(s.Subject))
	}
	return p.Report, s.subjects()[0], nil
}
