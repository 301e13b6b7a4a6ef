# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# A guest that is only there.

step up
sleep 600
