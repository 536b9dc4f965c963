package firmware

import "testing"

func TestClientLogins(t *testing.T) {
	script := func(text string) []file {
		return system(file{path: "usr/bin/report.sh", text: "#!/bin/sh\n" + text + "\n", mode: 0o755})
	}
	tests := []struct {
		name, text string
		want       []string
	}{
		{"MQTT", `mosquitto_pub -h broker.example.net -u unit -P tr9-Kelp -t a -m "$X"`, []string{"account high user=unit credential=fixed password=tr9-Kelp"}},
		{"curl", `curl -sku agent:tr9-Kelp https://up.example.net/`, []string{"account medium user=agent credential=fixed password=tr9-Kelp"}},
		{"curl, default, by variables", "U=admin\nP=admin\n/usr/bin/curl --user \"$U:$P\" http://10.0.0.1/", []string{"account medium user=admin credential=default password=admin"}},
		{"wget", `wget -q --user=agent --password=tr9-Kelp http://up.example.net/x`, []string{"account medium user=agent credential=fixed password=tr9-Kelp"}},
		{"pppd", `pppd /dev/ttyUSB0 115200 user isp@net password tr9-Kelp`, []string{"account medium user=isp@net credential=fixed password=tr9-Kelp"}},
		{"ftpput", `busybox ftpput -u up -p tr9-Kelp 10.0.0.1 a b`, []string{"account medium user=up credential=fixed password=tr9-Kelp"}},
		{"sshpass", `sshpass -p tr9-Kelp ssh -o StrictHostKeyChecking=no root@10.0.0.1 reboot`, []string{"account medium user=root credential=fixed password=tr9-Kelp"}},
		{"smbclient", `smbclient //nas/x -U 'WORK\back%tr9-Kelp' -c ls`, []string{"account medium user=back credential=fixed password=tr9-Kelp"}},
		{"mysql", `mysql -ucms -ptr9-Kelp cms`, []string{"account medium user=cms credential=fixed password=tr9-Kelp"}},
		{"mysql asks", `mysql -u cms -p cms`, nil},
		{"SNMP", `snmpset -v2c -c tr9-Kelp 10.0.0.1 x i 1`, []string{"account high user=tr9-Kelp credential=fixed password=tr9-Kelp"}},
		{"SNMP, read", `snmpget -v2c -c tr9-Kelp 10.0.0.1 x`, nil},
		{"not known", "mosquitto_sub -u unit -P \"$PW\" -t a\ncurl -u \"$1\" x\nwget --user=$U --password=$(cat /x) y\ncurl -u agent: z\nsshpass -e ssh root@h\npppd call isp\ncurl --url http://h/", nil},
		{"said, not done", "echo 'curl -u agent:tr9-Kelp x'\n# curl -u agent:tr9-Kelp x", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doors := doorsOf(t, Account, script(test.text)...)
			wantLines(t, lines(doors, "user", "credential", "password"), test.want)
			for _, d := range doors {
				if !contains(d.Secrets, d.Detail.Text("password")) || d.Evidence[0].Line < 2 {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}
