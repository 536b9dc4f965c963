package doorward

// Alterations is what became of the files of packages since the package
// database was written: what was added or changed in production shows here. It
// is no list of doors: a maker may have honest reasons. Nor is it a proof of the
// contrary, since whoever changes a file may change the database beside it.
type Alterations struct {
	Databases     []FileDatabase `json:"databases"`
	Altered       []Alteration   `json:"altered"`       // files of packages that differ from the database
	Foreign       []Alteration   `json:"foreign"`       // programs in folders of the system that belong to no package
	Configuration []Alteration   `json:"configuration"` // changed files that are there to be changed
}

// FileDatabase is one package database and how far its files could be checked.
type FileDatabase struct {
	Format    string  `json:"format"` // dpkg, apk, rpm, opkg, deb (a package given by itself)
	Where     []Where `json:"where"`
	Packages  int     `json:"packages"`
	Checked   int     `json:"checked"`   // files whose checksum the database has and whose bytes could be read
	Altered   int     `json:"altered"`   // of these
	Changed   int     `json:"changed"`   // of these, configuration
	Unchecked int     `json:"unchecked"` // listed files that are there without a checksum
	Unread    int     `json:"unread"`    // files that have one, but could not be read
	Missing   int     `json:"missing"`   // listed files that are not there
	Foreign   int     `json:"foreign"`
	Note      string  `json:"note,omitempty"` // why something was not looked at
}

// Alteration is one file that is not as its package brought it, or that no
// package brought.
type Alteration struct {
	Package  string  `json:"package,omitempty"` // name and version
	BOMRef   string  `json:"bom_ref,omitempty"` // of the package's component
	Where    []Where `json:"where"`
	Role     string  `json:"role"` // login, startup, module, program, library, script, data
	Expected string  `json:"expected,omitempty"`
	Found    string  `json:"found,omitempty"` // algorithm:hex, as the database has it
}
