# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# The same deployment by other means, to the same hosts: Ansible as its users tune it, Ansible with
# Mitogen, a loop of ssh and tar, and a loop without any ssh. The same bundle, digest check, application
# and probe, two hosts at a time with a barrier. Nobody but Pipeyard syncs files to the disk, and Ansible checks
# no digest.

hand_root=/srv/hand

# Keys and a server on every host, an inventory here. Only this machine and the hosts ever see the key.
start_ssh() {
    step "starting ssh on the hosts, for what Pipeyard is compared with"
    local host
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    for host in $(host_names); do
        docker exec -i "$(container "$host")" sh -euc '
            mkdir -p /run/sshd /root/.ssh
            cat >/root/.ssh/authorized_keys
            ssh-keygen -q -A
            /usr/sbin/sshd' <"$work/key.pub"
    done
    for host in $(host_names); do
        printf '%s ansible_host=%s ansible_python_interpreter=/usr/bin/python3\n' "$host" "$(host_address "$host")"
    done >"$work/inventory"
    ansible_settings 'linear' >"$work/ansible.cfg"
    {
        ansible_settings mitogen_linear
        printf 'strategy_plugins = %s\n' "$mitogen_plugins"
    } >"$work/mitogen.cfg"
    seen "Ansible reaches every host" "$(play ansible.cfg --version | head -n 1)"
}
mitogen_plugins=/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy

# What everybody who waits for Ansible sets sooner or later.
ansible_settings() {
    cat <<END
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=600s
control_path_dir = $work/control
[defaults]
forks = $host_count
gathering = explicit
host_key_checking = False
inventory = $work/inventory
private_key_file = $work/key
remote_user = root
retry_files_enabled = False
local_tmp = $work/ansible
strategy = $1
END
}
play() { ANSIBLE_CONFIG=$work/$1 ansible-playbook "${@:2}"; }

ansible_rolling() { play_bundle ansible.cfg; }
mitogen_rolling() { play_bundle mitogen.cfg; }
play_bundle() {
    local before
    make_bundle
    before=$(now_ms)
    play "$1" "$here/bench/playbook.yml" -e "bundle=$work/bundle.tar.gz" \
        -e "release=$hand_root/$(now_ms)" -e "start=$here/bench/start-by-hand.sh" \
        >"$work/logs/$1.log" 2>&1 || unmet "$1 deploys" "$(tail -n 5 "$work/logs/$1.log")"
    echo $(($(now_ms) - before))
}

# Two at a time, as a careful person's loop does it.
ssh_rolling() { in_pairs over_ssh; }
docker_rolling() { in_pairs by_exec; }
in_pairs() {
    local before host index=0 release
    make_bundle
    release=$hand_root/$(now_ms)
    before=$(now_ms)
    for host in $(host_names); do
        "$1" "$host" "$release" &
        index=$((index + 1))
        [ $((index % 2)) = 1 ] || wait
    done
    wait
    echo $(($(now_ms) - before))
}
over_ssh() {
    ssh -q -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o ControlMaster=auto -o ControlPersist=600s -o ControlPath="$work/control/%h" \
        "root@$(host_address "$1")" "$(by_hand "$2")" <"$work/bundle.tar.gz"
}
by_exec() { docker exec -i "$(container "$1")" sh -euc "$(by_hand "$2")" <"$work/bundle.tar.gz"; }

# The shell text of one host's deployment: copy, check, unpack, switch, restart, ask.
by_hand() {
    cat <<END
set -eu
mkdir -p $1
cat >$1.tar.gz
echo '$bundle_digest  $1.tar.gz' | sha256sum --check --quiet
tar -xzf $1.tar.gz -C $1
$(sed "s|^release=.*|release=$1|" "$here/bench/start-by-hand.sh")
END
}

bundle_digest=
make_bundle() {
    head -c 10000000 /dev/urandom >"$work/payload"
    tar -C "$work" -czf "$work/bundle.tar.gz" payload
    bundle_digest=$(sha256sum <"$work/bundle.tar.gz" | cut -d' ' -f1)
}
