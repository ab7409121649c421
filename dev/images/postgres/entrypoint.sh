#!/bin/bash
# Starts PostgreSQL; on the first start it makes the data. Needs PGDATA (or its parent), /tmp and /var/run/postgresql writable, nothing else.
#
# The data is made in a folder of its own and moved into place when it is whole, PG_VERSION last: a container that is killed
# half-way leaves no data that looks usable, and the next start goes on or begins again.
set -euo pipefail

fail() {
    echo "entrypoint: $*" >&2
    exit 1
}

# As the official image: NAME or NAME_FILE, not both.
read_setting() {
    local name=$1 file_name="$1_FILE"
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
        fail "$name and $file_name are both set"
    fi
    if [ -n "${!file_name:-}" ]; then
        cat "${!file_name}"
    else
        printf '%s' "${!name:-}"
    fi
}

# initdb asks for the name of the user it runs as; a Pod may run under an id that the image does not know.
name_this_user() {
    if getent passwd "$(id -u)" > /dev/null; then
        return
    fi
    export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=/tmp/passwd NSS_WRAPPER_GROUP=/tmp/group
    echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" > "$NSS_WRAPPER_PASSWD"
    echo "postgres:x:$(id -g):" > "$NSS_WRAPPER_GROUP"
}

initialise() {
    local user database password
    user=$(read_setting POSTGRES_USER)
    user=${user:-postgres}
    database=$(read_setting POSTGRES_DB)
    database=${database:-$user}
    password=$(read_setting POSTGRES_PASSWORD)
    if [ -z "$password" ]; then
        fail "POSTGRES_PASSWORD is not set: the first start needs the password that the user $user shall have"
    fi

    rm -rf "$staging"
    initdb --pgdata="$staging" --username="$user" --pwfile=<(printf '%s\n' "$password") \
        --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256
    echo "host all all all scram-sha-256" >> "$staging/pg_hba.conf"
    if [ "$database" != postgres ]; then
        # Inside double quotes a double quote is doubled.
        echo "CREATE DATABASE \"${database//\"/\"\"}\"" | postgres --single -j -D "$staging" postgres > /dev/null
    fi
    touch "$staging.complete"
}

move_into_place() {
    local entry
    shopt -s dotglob nullglob
    for entry in "$staging"/*; do
        if [ "$(basename "$entry")" != PG_VERSION ]; then
            mv -T "$entry" "$PGDATA/$(basename "$entry")"
        fi
    done
    sync
    mv "$staging/PG_VERSION" "$PGDATA/PG_VERSION"
    rm -rf "$staging" "$staging.complete"
}

prepare_data() {
    mkdir -p "$PGDATA" || fail "$PGDATA cannot be made by uid $(id -u): is a volume mounted there, with fsGroup set?"
    if [ -O "$PGDATA" ]; then
        # At every start: fsGroup opens all folders of a volume to its group each time it is mounted, which PostgreSQL refuses.
        chmod 0700 "$PGDATA"
    fi
    if [ -s "$PGDATA/PG_VERSION" ]; then
        rm -rf "$staging" "$staging.complete"
        return
    fi
    if [ ! -O "$PGDATA" ]; then
        fail "$PGDATA belongs to another user than uid $(id -u): set PGDATA to a folder below the mounted volume"
    fi
    if [ ! -e "$staging.complete" ]; then
        if [ -n "$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -path "$staging" ! -name lost+found)" ]; then
            fail "$PGDATA holds files but no PG_VERSION: not a database, or one half-lost. It is left as it is."
        fi
        initialise
    fi
    move_into_place
}

if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then
    set -- postgres "$@"
fi
if [ "$1" != postgres ]; then
    exec "$@"
fi
if [ "$(id -u)" -eq 0 ]; then
    fail "PostgreSQL does not run as root: set runAsUser (the image's own is 999)"
fi
export PGDATA=${PGDATA:-/var/lib/postgresql/data}
staging="$PGDATA/.initialising"
name_this_user
prepare_data
unset LD_PRELOAD POSTGRES_PASSWORD
shift
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql "$@"
