package firmware

import "testing"

func TestConfiguredAccounts(t *testing.T) {
	reads := file{path: "usr/sbin/webd", text: "\x7fELF\x00 cfg.xml cfg.ini defaults.conf users.conf cfg.json .htpasswd lighttpd.user digest.txt httpd.conf mosquitto.passwd auth.txt env.sh tomcat-users.xml smbpasswd nvram.bin x"}
	with := func(p, text string) []file { return system(reads, file{path: p, text: text}) }
	tests := []struct {
		name  string
		files []file
		want  []string
	}{
		{"nvram, a line each", with("etc/defaults.conf", "lan_ipaddr=192.168.1.1\nhttp_username=admin\nhttp_passwd=admin\nwl0_wpa_psk=\n"), []string{"account critical user=admin credential=default password=admin"}},
		{"nvram, NUL-ended", with("usr/etc/nvram.bin", "lan_ipaddr=192.168.1.1\x00super_username=factory\x00super_passwd=zq8-fX2-hh\x00os_name=x\x00"), []string{"account critical user=factory credential=fixed password=zq8-fX2-hh"}},
		{"nvram, spaces", with("etc/defaults.conf", "lan_ipaddr=192.168.1.1 http_username=admin http_passwd=1234 wan_proto=dhcp\n"), []string{"account critical user=admin credential=default password=1234"}},
		{"XML elements", with("etc/cfg.xml", "<Users>\n <User>\n  <Username>engineer</Username>\n  <Password>Tr0ub4dor9</Password>\n </User>\n</Users>\n"), []string{"account critical user=engineer credential=fixed password=Tr0ub4dor9"}},
		{"XML values", with("etc/cfg.xml", "<Dir Name=\"X_User\">\n<Value Name=\"UserName\" Data=\"telecomadmin\"/>\n<Value Name=\"Password\" Data=\"admintelecom\"/>\n</Dir>\n"), []string{"account critical user=telecomadmin credential=default password=admintelecom"}},
		{"tomcat, with its comment", with("etc/tomcat-users.xml", "<tomcat-users>\n<!--\n <user username=\"tomcat\" password=\"s3cret\" roles=\"manager\"/>\n-->\n<user username=\"deploy-admin\" password=\"r4fJk2\" roles=\"manager\"/>\n</tomcat-users>\n"),
			[]string{"account critical user=deploy-admin credential=fixed password=r4fJk2"}},
		{"JSON", with("etc/cfg.json", "{\"users\": [{\"user\": \"root\", \"pass\": \"k3yPad77\"}]}\n"), []string{"account critical user=root credential=fixed password=k3yPad77"}},
		{"ini", with("etc/cfg.ini", "[web]\nadmin_name=boss\nadmin_pass=hG7x9Q\n; admin_pass=other\n"), []string{"account critical user=boss credential=fixed password=hG7x9Q"}},
		{"MQTT client", with("etc/cfg.ini", "mqtt_user=dev\nmqtt_password=cl0udPass\n"), []string{"account high user=dev credential=fixed password=cl0udPass"}},
		{"database", with("etc/cfg.json", "{\n \"db_user\": \"cms\",\n \"db_password\": \"qwe78Rty\"\n}\n"), []string{"account medium user=cms credential=fixed password=qwe78Rty"}},
		{"goahead", with("etc/auth.txt", "user name=joe password=2fd6e47ff9bb70c0465fd2f5c8e5305e roles=manager,purchase\n"), []string{"account high user=joe credential=fixed"}},
		{"a hash that is none", with("etc/.htpasswd", "admin:$1$setup$to.be.changed.by.the.installer\n"), nil},
		{"htpasswd", with("etc/.htpasswd", "admin:"+md5Known+"\n"), []string{"account critical user=admin credential=default password=admin123"}},
		{"lighttpd plain", with("etc/lighttpd.user", "viewer:viewer\n"), []string{"account high user=viewer credential=default password=viewer"}},
		{"htdigest", with("etc/digest.txt", "admin:realm:ae7cdd2406201487bcce77064b5fe10c\n"), []string{"account critical user=admin credential=default password=admin"}},
		{"busybox httpd", with("etc/httpd.conf", "A:192.168.\n/cgi-bin:root:topsecret8\n"), []string{"account critical user=root credential=fixed password=topsecret8"}},
		{"nothing reads it", system(file{path: "opt/old.ini", text: "admin_name=boss\nadmin_pass=hG7x9Q\n"}), []string{"account high user=boss credential=fixed password=hG7x9Q"}},
		{"empty, placeholders, variables", with("etc/cfg.ini", "http_user=admin\nhttp_passwd=\nadmin_password=$PASS\nroot_password=<password>\nuser=username\npassword=password_here_example\nweb_password=YOUR_PASSWORD\npassword_file=/etc/x\npassword_min_len=8\nadmin_password=none\n"), nil},
		{"comments", with("etc/cfg.ini", "#http_user=admin\n#http_passwd=changeme\n; user=root\n; password=x1y2z3\n"), nil},
		{"a table of texts", with("etc/cfg.json", `{"username": "Username", "password": "Password", "a": "Enter your user name", "b": "The password is wrong", "c": "Log in to the device", "d": "Sign out of here", "e": "Change the password now", "f": "Do it again please", "g": "Passwords are not equal"}`), nil},
		{"sources and pages", with("www/login.js", "var username='admin'; var password='admin';\n"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLines(t, lines(doorsOf(t, Account, test.files...), "user", "credential", "password"), test.want)
		})
	}
}

func TestNamesOfSettings(t *testing.T) {
	for value, want := range map[string]bool{
		"broker.default_pass": true, "gate_stomp.default_user.passcode": true, "broker_password_hashing_md5": true,
		"my.password": false, "cl0udPass": false, "broker_pass1": false, "a_b.c": false,
	} {
		if got := namesSetting("broker_password", value); got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
}
