package report

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	maxCommand  = 4096 // bytes of a command in which options are sought
	maxCommands = 64   // commands of one text
)

// secretOption is an option of a program that takes a secret.
type secretOption struct {
	programs string // separated by |
	option   string // regular expression
	attached bool   // the value stands right behind the option, and nowhere else
	behind   string // the secret is what stands behind this; "" all
}

var secretOptions = []secretOption{
	{programs: `curl|wget2?|http|https`, option: `-u|--user|-U|--proxy-user`, behind: ":"},
	{programs: `curl`, option: `-u`, attached: true, behind: ":"},
	{programs: `mosquitto_pub|mosquitto_sub|mosquitto_rr`, option: `-P|--pw`},
	{programs: `sshpass|ftpget|ftpput|ncftpget|ncftpput|iscsiadm|mongo|mongodump|rabbitmqadmin`, option: `-p`},
	{programs: `sshpass|mysql|mysqladmin|mysqldump|mariadb|7z|7za|7zr`, option: `-p`, attached: true},
	{programs: `zip|unzip|ipmitool|sqlcmd|vncdo`, option: `-P`},
	{programs: `smbclient|rpcclient|net|smbget|smbmap`, option: `-U|--user`, behind: "%"},
	{programs: `lftp`, option: `-u|--user`, behind: ","},
	{programs: `plink|pscp|psftp`, option: `-pw`},
	{programs: `redis-cli`, option: `-a`},
	{programs: `ldapsearch|ldapmodify|ldapadd`, option: `-w`},
	{programs: `snmpget|snmpset|snmpwalk|snmpbulkwalk|snmptrap`, option: `-A|-X`},
	{programs: `openssl`, option: `-pass|-passin|-passout`, behind: "pass:"},
	{programs: `openssl`, option: `-k|-K`},
	{programs: `useradd|usermod`, option: `-p`},
}

// ready is a secretOption with its expression.
type ready struct {
	secretOption
	programs []string
	re       *regexp.Regexp
}

var readyOptions, anyProgram = prepare()

func prepare() ([]ready, *regexp.Regexp) {
	var list []ready
	var all []string
	for _, o := range secretOptions {
		between := `(?:['"]?\s*,\s*|['"]?\s+|=)`
		if o.attached {
			between = ""
		}
		programs := strings.Split(strings.ReplaceAll(o.programs, "wget2?", "wget|wget2"), "|")
		list = append(list, ready{o, programs, regexp.MustCompile(`(?:^|[\s'",\[])(?:` + o.option + `)` + between + valued)})
		for _, p := range programs {
			if !slices.Contains(all, p) {
				all = append(all, regexp.QuoteMeta(p))
			}
		}
	}
	return list, regexp.MustCompile(`(?:^|[\s'"\x60=(/|;&\[,])(` + strings.Join(all, "|") + `)['"]?[\s,]`)
}

// commandEnd is where the next command begins.
var commandEnd = regexp.MustCompile(`\n|\s[;|&]|[;|&]\s|&&|\|\|`)

// ofCommands finds the secrets that stand behind options.
func ofCommands(text, program string) []span {
	var list []span
	if program != "" {
		list = ofCommand(list, text, 0, path.Base(program))
	}
	for _, m := range anyProgram.FindAllStringSubmatchIndex(text, maxCommands) {
		end := min(len(text), m[3]+maxCommand)
		if at := commandEnd.FindStringIndex(text[m[3]:end]); at != nil {
			end = m[3] + at[0]
		}
		list = ofCommand(list, text[:end], m[3], text[m[2]:m[3]])
	}
	return list
}

func ofCommand(list []span, text string, from int, program string) []span {
	for _, o := range readyOptions {
		if !slices.Contains(o.programs, program) {
			continue
		}
		for _, m := range o.re.FindAllStringSubmatchIndex(text[from:], maxCommands) {
			s, ok := lastGroup(m, 0)
			if !ok {
				continue
			}
			s = span{from + s.start, from + s.end, true}
			if o.behind != "" {
				i := strings.Index(text[s.start:s.end], o.behind)
				if i < 0 {
					continue
				}
				s.start += i + len(o.behind)
			}
			list = append(list, s)
		}
	}
	return list
}

var (
	// taker is a program that reads a password from a pipe or a here-string.
	taker = regexp.MustCompile(`(?:\|\s*(?:(?:sudo|busybox|/\S+/busybox)\s+)*(?:/\S*/)?(chpasswd|passwd|smbpasswd|cryptsetup)\b)|(?:\bchpasswd\b[^\n|;]*<<<)`)
	giver = regexp.MustCompile(`\b(?:echo|printf)\s+(?:-\w+\s+)*(?:'%s[^']*'\s+|"%s[^"]*"\s+)?(?:\\?'([^'\n]+?)\\?'|\\?"([^"\n]+?)\\?"|([^\s'"\x60;|)]+))`)
	here  = regexp.MustCompile(`\bchpasswd\b[^\n|;]*<<<\s*` + valued)
)

// ofPipes finds what is piped into a program that sets passwords.
func ofPipes(text string) []span {
	var list []span
	start := 0
	for _, line := range strings.SplitAfter(text, "\n") {
		if m := taker.FindStringSubmatchIndex(line); m != nil {
			pairs, re, part := true, here, line
			if m[2] >= 0 {
				pairs, re, part = line[m[2]:m[3]] == "chpasswd", giver, line[:m[0]]
			}
			for _, g := range re.FindAllStringSubmatchIndex(part, maxCommands) {
				s, ok := lastGroup(g, 0)
				if !ok {
					continue
				}
				if i := strings.Index(part[s.start:s.end], ":"); pairs {
					if i < 0 {
						continue
					}
					s.start += i + 1
				}
				list = append(list, span{start + s.start, start + s.end, true})
			}
		}
		start += len(line)
	}
	return list
}
