#!/bin/sh
# kafka-server-start.sh server.properties [--override key=value …]
exec "$(dirname "$(readlink -f "$0")")/naru" broker --config "$@"
