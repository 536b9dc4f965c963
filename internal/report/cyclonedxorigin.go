package report

import "github.com/doorward/doorward"

// cdxMakers are the organisations behind subjects, as origin facts name them.
type cdxMakers struct{ supplier, manufacturer map[string]*cdxOrg }

// cdxMakersOf takes whom the facts name for the whole of a subject, if they name
// one: who maintains is CycloneDX's supplier, who developed its manufacturer.
// What is only inferred is left out.
func cdxMakersOf(list []doorward.OriginFact) cdxMakers {
	seats := map[string]string{} // "?" for several
	for _, f := range list {
		if f.Axis == doorward.LegalSeat && f.Country != "" && f.Country != doorward.UnknownCountry {
			if was := seats[f.Subject]; was != "" && was != f.Country {
				f.Country = "?"
			}
			seats[f.Subject] = f.Country
		}
	}
	m := cdxMakers{map[string]*cdxOrg{}, map[string]*cdxOrg{}}
	for _, f := range list {
		to := m.supplier
		if f.Axis == doorward.Development {
			to = m.manufacturer
		} else if f.Axis != doorward.Maintenance {
			continue
		}
		if f.Entity == "" || !isWhole(f) || f.Class == doorward.Inferred {
			continue
		}
		org := &cdxOrg{Name: plain(f.Entity)}
		if country := seats[doorward.EntitySubject(f.Entity)]; country != "" && country != "?" {
			org.Address = &cdxAddress{country}
		}
		if was, ok := to[f.Subject]; ok && (was == nil || doorward.EntityKey(was.Name) != doorward.EntityKey(org.Name)) {
			org = nil // facts contradict each other
		}
		to[f.Subject] = org
	}
	return m
}

// fill names the makers of a component and of what is nested in it.
func (m cdxMakers) fill(c *cdxComponent, subject string) {
	if org := m.supplier[subject]; org != nil {
		c.Supplier = org
	}
	if org := m.manufacturer[subject]; org != nil {
		c.Manufacturer = org
	}
	for i := range c.Components {
		m.fill(&c.Components[i], c.Components[i].BOMRef)
	}
}
