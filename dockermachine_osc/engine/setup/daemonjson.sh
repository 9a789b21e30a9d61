
# ---- hosts in daemon.json -------------------------------------------------

# The engine does not start with an option in its file and as a flag. Where the
# file names what the engine listens on, our listener goes in there, and all
# around it stays byte for byte. /etc/docker-machine/listener has the file and
# what we put there, a line each; daemon.json.before is the file without it.

# The file that names the sockets, '' if that is left to flags.
hosts_in=''

# Says of the JSON object on stdin, with positions counted from 1: key NAME for
# each key of it, array FROM TO for the list of "hosts", entry FROM TO TEXT for
# what is in that. Ends with 1 if it is no object, 2 if "hosts" is no list of
# texts. No comments exist in JSON.
json_parts() {
    awk '
    { text = text $0 "\n" }
    function string(at) {
        for (at = i + 1; substr(text, at, 1) != "\""; at++) {
            if (at > size) exit 1
            if (substr(text, at, 1) == "\\") at++
        }
        return at
    }
    function ahead(at) {
        at++
        while (index(" \t\r\n", substr(text, at, 1)) && at < size) at++
        return substr(text, at, 1)
    }
    END {
        size = length(text)
        if (text ~ /^[ \t\r\n]*$/) exit 0
        i = 0
        if (ahead(i) != "{") exit 1
        for (i = 1; i <= size; i++) {
            c = substr(text, i, 1)
            if (c == "\"") {
                from = i
                i = string()
                value = substr(text, from + 1, i - from - 1)
                gsub(/\\\//, "/", value)
                if (depth == 1 && ahead(i) == ":") {
                    key = value
                    print "key " key
                    hosts += key == "hosts"
                } else if (depth == 2 && listed)
                    print "entry " from " " i " " value
            } else if (c == "{" || c == "[") {
                if (listed) exit 2
                listed = ++depth == 2 && key == "hosts" && c == "["
                if (listed) opened = i
            } else if (c == "}" || c == "]") {
                if (listed) { print "array " opened " " i; lists++ }
                listed = 0
                depth--
            } else if (listed && ! index(" \t\r\n,", c))
                exit 2
        }
        if (depth != 0) exit 1
        if (hosts != lists + 0 || hosts > 1) exit 2
    }'
}

check_daemon_json() {
    json=$(config_file)
    json=${json:-/etc/docker/daemon.json}
    hosts_in=''
    [ -r "$ROOT$json" ] || return 0
    parts=$(json_parts <"$ROOT$json")
    case $? in
    0) ;;
    2) fail "$EX_CONFLICT" "\"hosts\" in $json is no list of texts" \
        "take \"hosts\" out of $json (and restart docker.service to try it)" ;;
    *) fail "$EX_CONFLICT" "$json is no JSON object" \
        'the engine does not start with it: mend it first' ;;
    esac
    key=$(say "$parts" |
        sed -n 's/^key \(tls\|tlsverify\|tlscacert\|tlscert\|tlskey\)$/\1/p' |
        head -n 1)
    [ -z "$key" ] || fail "$EX_CONFLICT" \
        "$json sets \"$key\", which has to be left to us" \
        "take \"$key\" out of $json (and restart docker.service to try it)"
    ! say "$parts" | grep -qx 'key hosts' || check_hosts
}

check_hosts() {
    case " $command " in
    *' -H'* | *' --host'*) fail "$EX_CONFLICT" \
        "$json sets \"hosts\", and $unit_file sets -H: the engine does not start with both" \
        "take \"hosts\" out of $json (and restart docker.service to try it)" ;;
    esac
    foreign=$(say "$parts" | sed -n 's/^entry [0-9]* [0-9]* //p' |
        grep -v '^unix://\|^fd://' | grep -vxF "$(our_entries)" | head -n 1)
    [ -z "$foreign" ] || fail "$EX_CONFLICT" \
        "the engine listens on $foreign already: \"hosts\" in $json" \
        'take that out first; whoever uses it would need a certificate'
    hosts_in=$json
}

# What we have put into the file, a line each; an empty line otherwise.
our_entries() {
    if [ "$(head -n 1 "$HOME_DIR/listener" 2>/dev/null)" = "$json" ]; then
        tail -n +2 "$HOME_DIR/listener"
    else
        say ''
    fi
}

has_listener() {
    our_entries | grep -qxF "tcp://0.0.0.0:$port" &&
        say "$parts" | grep -q "^entry [0-9]* [0-9]* tcp://0.0.0.0:$port\$"
}

# splice FILE FROM TO TEXT: the file with TEXT for its bytes FROM up to TO.
splice() {
    head -c "$(($2 - 1))" "$1"
    printf '%s' "$4"
    tail -c "+$3" "$1"
}

# with_entries FILE TEXT: the file with quoted TEXT at the end of "hosts".
with_entries() {
    at=$(json_parts <"$1" | awk '$1 == "array" { from = $2 }
        $1 == "entry" { last = $3 } END { print last ? last + 1 : -from - 1 }')
    case $at in
    # With nothing in the list the engine listens on its usual socket.
    -*) splice "$1" "${at#-}" "${at#-}" "\"unix:///var/run/docker.sock\", $2" ;;
    *) splice "$1" "$at" "$at" ", $2" ;;
    esac
}

# without_entry FILE TEXT: the file without that in "hosts".
without_entry() {
    span=$(json_parts <"$1" | awk -v text="$2" '$1 != "entry" { next }
        span && ! after { after = $2 }
        $4 == text && NF == 4 && ! span { span = $2; end = $3; before = last }
        { last = $3 }
        END {
            if (! span) exit
            if (before) print before + 1, end + 1
            else if (after) print span, after
            else print span, end + 1
        }')
    if [ -n "$span" ]; then
        splice "$1" "${span% *}" "${span#* }" ''
    else
        cat "$1"
    fi
}

# take_entries_out FILE: in a file of ours, a copy.
take_entries_out() {
    our_entries | while IFS= read -r entry; do
        without_entry "$1" "$entry" >"$1.less" && mv -f "$1.less" "$1"
    done
}

# Called when the drop-in has its place, and with it the keys as flags.
put_listener() {
    if [ -z "$hosts_in" ] || has_listener; then return 0; fi
    new=$RUN_DIR/daemon.json
    cat "$ROOT$hosts_in" >"$new"
    take_entries_out "$new"
    cat "$new" >"$HOME_DIR/daemon.json.before"
    with_entries "$new" "\"tcp://0.0.0.0:$port\"" >"$new.more"
    mv -f "$new.more" "$new"
    validate_json
    step "adding tcp://0.0.0.0:$port to \"hosts\" in $hosts_in"
    # So that a set-up that is cut off here is made up for.
    rm -f "$HOME_DIR/applied"
    {
        say "$hosts_in"
        grep -q 'unix:///var/run/docker.sock' "$HOME_DIR/daemon.json.before" ||
            ! grep -q 'unix:///var/run/docker.sock' "$new" ||
            say unix:///var/run/docker.sock
        say "tcp://0.0.0.0:$port"
    } >"$HOME_DIR/listener"
    cp "$ROOT$hosts_in" "$RUN_DIR/before/daemon.json"
    replace_json "$ROOT$hosts_in" "$new" || {
        put_back
        fail "$EX_START" "$hosts_in cannot be written"
    }
}

# Engines before 23.0 cannot be asked, nor what a wrapper would start.
validate_json() {
    said=$("$(engine_program)" --validate --config-file "$new" 2>&1)
    case $? in 0 | 126 | 127) return ;; esac
    case $said in *'unknown flag'*) return ;; esac
    put_back
    fail "$EX_CONFLICT" "the engine would not start with $hosts_in: $(
        say "$said" | clean | tail -n 1 | cut -c 1-200
    )" "mend $hosts_in first"
}

# replace_json FILE NEW: all at once, with owner, mode and label as they were.
replace_json() {
    whole=$(readlink -f "$1") && cp -a "$whole" "$whole.docker-machine" &&
        cat "$2" >"$whole.docker-machine" &&
        mv -f "$whole.docker-machine" "$whole"
}

# Takes out what we put in, whatever else has been changed in the file since.
remove_listener() {
    json=$(head -n 1 "$HOME_DIR/listener" 2>/dev/null)
    if [ -z "$json" ] || [ ! -e "$ROOT$json" ]; then return 0; fi
    mkdir -p "$RUN_DIR"
    cat "$ROOT$json" >"$RUN_DIR/daemon.json"
    take_entries_out "$RUN_DIR/daemon.json"
    same "$RUN_DIR/daemon.json" "$ROOT$json" ||
        replace_json "$ROOT$json" "$RUN_DIR/daemon.json"
}

# ---- as it was before -----------------------------------------------------

# Kept until the engine runs with what comes in their place.
BEFORE='ca.pem server.pem server-key.pem applied listener daemon.json.before'

keep_before() {
    rm -rf "$RUN_DIR/before"
    mkdir "$RUN_DIR/before"
    for name in $BEFORE; do
        [ ! -e "$HOME_DIR/$name" ] || cp -p "$HOME_DIR/$name" "$RUN_DIR/before"
    done
}

restore_before() {
    [ -d "$RUN_DIR/before" ] || return 0
    for name in $BEFORE; do
        rm -f "$HOME_DIR/$name"
        [ ! -e "$RUN_DIR/before/$name" ] ||
            cp -p "$RUN_DIR/before/$name" "$HOME_DIR/$name"
    done
    [ ! -e "$RUN_DIR/before/daemon.json" ] ||
        replace_json "$ROOT$hosts_in" "$RUN_DIR/before/daemon.json"
    rm -rf "$RUN_DIR/before"
}
