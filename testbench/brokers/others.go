package brokers

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"livebox-agent/testbench/broker"
	"livebox-agent/testbench/freeport"
)

// mosquitto writes the shipped files with this broker's paths and port.
func mosquitto(cfg Config, f files) (*exec.Cmd, error) {
	program, err := find("mosquitto", "mosquitto", "/usr/sbin/mosquitto")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, err
	}
	acl := filepath.Join(cfg.Dir, "livebox-agent.acl")
	text := strings.NewReplacer(
		"/etc/mosquitto/livebox-agent.acl", acl,
		"/etc/mosquitto/certs/ca.pem", f.ca,
		"/etc/mosquitto/certs/server.pem", f.cert,
		"/etc/mosquitto/certs/server-key.pem", f.key,
		"listener 8883", "listener "+port+" 127.0.0.1",
	).Replace(broker.MosquittoConf()) + "\n# The lab's own.\nuser root\npersistence_location " + cfg.Dir + "/\n"
	name := filepath.Join(cfg.Dir, "mosquitto.conf")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(acl, []byte(withoutTopic(broker.MosquittoACL(), cfg.Deny)), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(program, "-c", name), nil
}

// withoutTopic leaves out the rule that lets boxes write a topic.
func withoutTopic(acl, topic string) string {
	if topic == "" {
		return acl
	}
	return strings.Replace(acl, "pattern write cem/v1/%u/"+topic+"\n", "", 1)
}

// find returns the name of a program that a Debian package brings.
func find(debian string, names ...string) (string, error) {
	for _, n := range names {
		matches, _ := filepath.Glob(n) // the patterns are constants
		if path, err := exec.LookPath(n); err == nil {
			return path, nil
		}
		if len(matches) > 0 {
			return matches[0], nil
		}
	}
	return "", fmt.Errorf("%s is not installed (Debian: apt-get install %s)", names[0], debian)
}

// rabbit writes the shipped files with this broker's paths and port, and
// returns the broker and Erlang's port mapper, without which it would start one
// that outlives it.
func rabbit(cfg Config, f files) (server, mapper *exec.Cmd, err error) {
	program, err := find("rabbitmq-server", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if err != nil {
		return nil, nil, err
	}
	epmd, err := find("erlang-base", "epmd")
	if err != nil {
		return nil, nil, err
	}
	var ports [2]string
	for i := range ports {
		addr, err := freeport.Address()
		if err != nil {
			return nil, nil, err
		}
		_, ports[i], _ = net.SplitHostPort(addr)
	}
	definitions := filepath.Join(cfg.Dir, "livebox-agent.json")
	text := strings.NewReplacer(
		"/etc/rabbitmq/livebox-agent.json", definitions,
		"/etc/rabbitmq/certs/ca.pem", f.ca,
		"/etc/rabbitmq/certs/server.pem", f.cert,
		"/etc/rabbitmq/certs/server-key.pem", f.key,
		"mqtt.listeners.ssl.1 = 8883", "mqtt.listeners.ssl.1 = "+cfg.Addr,
	).Replace(broker.RabbitConf()) + "\n# The lab's own.\nlisteners.tcp = none\nlog.console = true\nlog.file = false\n"
	conf := filepath.Join(cfg.Dir, "rabbitmq.conf")
	plugins := filepath.Join(cfg.Dir, "enabled_plugins")
	users, err := rabbitUsers(cfg.Boxes, cfg.Deny)
	if err != nil {
		return nil, nil, err
	}
	for name, text := range map[string]string{
		conf: text, plugins: "[rabbitmq_mqtt,rabbitmq_auth_mechanism_ssl].\n", definitions: users,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	_, port, _ := net.SplitHostPort(cfg.Addr)
	env := append(os.Environ(),
		"HOME="+cfg.Dir,
		"RABBITMQ_NODENAME=lab"+port+"@localhost",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(cfg.Dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(cfg.Dir, "log"),
		"RABBITMQ_CONFIG_FILE="+conf,
		"RABBITMQ_ENABLED_PLUGINS_FILE="+plugins,
		"RABBITMQ_CONF_ENV_FILE="+os.DevNull,
		"RABBITMQ_DIST_PORT="+ports[0],
		"ERL_EPMD_PORT="+ports[1],
		"ERL_EPMD_ADDRESS=127.0.0.1",
		// Within the loopback, and without schedulers that spin.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
	)
	server, mapper = exec.Command(program), exec.Command(epmd)
	server.Env, mapper.Env = env, env
	server.Dir, mapper.Dir = cfg.Dir, cfg.Dir // what Erlang leaves of a crash stays there
	return server, mapper, nil
}

// rabbitUsers returns the shipped definitions for these boxes, one of whose
// topics may be denied.
func rabbitUsers(boxes []string, deny string) (string, error) {
	var shipped map[string][]map[string]any
	if err := json.Unmarshal([]byte(broker.RabbitDefinitions()), &shipped); err != nil {
		return "", fmt.Errorf("shipped definitions: %w", err)
	}
	for table, rows := range shipped {
		var all []map[string]any
		for _, row := range rows {
			if row["name"] != "BOX" && row["user"] != "BOX" {
				all = append(all, row)
				continue
			}
			for _, box := range append([]string{probe}, boxes...) {
				mine := make(map[string]any, len(row))
				for k, v := range row {
					if s, ok := v.(string); ok {
						s = strings.ReplaceAll(s, "BOX", box)
						if deny != "" && table == "topic_permissions" && k == "write" {
							s = strings.Replace(s, "|"+deny+"|", "|", 1)
						}
						v = s
					}
					mine[k] = v
				}
				all = append(all, mine)
			}
		}
		shipped[table] = all
	}
	text, err := json.MarshalIndent(shipped, "", " ")
	return string(text), err
}
