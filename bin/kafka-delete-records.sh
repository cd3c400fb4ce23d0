#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/naru" delete-records "$@"
