#!/bin/sh
# embed.sh DIR: writes messages.json and the migrations of DIR as C to standard output (see common/embedded.h).
set -eu
dir=$1

bytes() { od -An -v -tx1 "$1" | sed 's/ \(..\)/0x\1,/g'; echo 0; }

echo '#include "common/embedded.h"'
echo 'const char embedded_messages [] = {'; bytes "$dir/messages.json"; echo '};'
for file in "$dir"/[0-9][0-9][0-9]-*.sql; do
    number=$(basename "$file" | cut -c1-3)
    echo "static const char migration_$number [] = {"; bytes "$file"; echo '};'
done
echo 'const migration_t embedded_migrations [] = {'
for file in "$dir"/[0-9][0-9][0-9]-*.sql; do
    number=$(basename "$file" | cut -c1-3)
    echo "    { $(echo "$number" | sed 's/^0*//'), \"$(basename "$file")\", migration_$number },"
done
echo '    { 0, 0, 0 }'
echo '};'
