/* SPDX-License-Identifier: MIT
 *
 * The rig. Threads: one.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

struct daemon rig;

void rig_start(void)
{
    struct hv_store *store;
    struct errmsg err;

    memset(&rig, 0, sizeof(rig));
    char *argv[] = {(char *)"blkbackd", (char *)"--claim-all", (char *)"--log-level",
                    (char *)"error", NULL};
    assert_int_equal(options_parse(4, argv, &rig.config, &err), OPTIONS_RUN);
    /* The same on every machine that runs the tests. */
    rig.config.limits.max_ring_page_order = 2;
    rig.config.limits.max_queues = 3;
    rig.config.limits.max_indirect = 64;
    snprintf(rig.config.run_dir, sizeof(rig.config.run_dir), "/dev/null"); /* no life files */
    assert_int_equal(loop_create(&rig.loop), 0);
    assert_int_equal(cache_create("vbd", sizeof(struct vbd), 0, 64, NULL, &rig.vbds), 0);
    assert_int_equal(hv_store_open("fake", &store, &err), 0);
    assert_int_equal(bus_start(&rig.bus, rig.loop, &rig.config, store, &vbd_driver, &rig, &err), 0);
    rig_run();
}

void rig_run(void)
{
    unsigned rounds = 0;

    do {
        loop_run_once(rig.loop, 0);
        assert_true(++rounds < 100000); /* it must come to rest */
    } while ((rig.bus.again && rig.bus.store) || fake_workers_deliver());
    loop_run_once(rig.loop, 0);
}

void rig_stop(void)
{
    unsigned left;

    rig.stopping = true;
    bus_quiesce(&rig.bus);
    fake_workers_speak();
    do {
        left = 0;
        for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
            if (rig.bus.slots[i] && !vbd_stopped(vbd_of(rig.bus.slots[i])))
                left++;
        }
    } while (fake_workers_deliver() || left);
    bus_stop(&rig.bus);
    assert_int_equal(cache_destroy(rig.vbds), 0);
    loop_destroy(rig.loop);
    assert_int_equal(fake_workers.living, 0);
}

int rig_setup(void **state)
{
    log_open("rig", LOG_LEVEL_ERROR);
    fake_reset();
    fake_workers_reset();
    rig_start();
    return 0;
}

int rig_teardown(void **state)
{
    rig_stop();
    assert_int_equal(fake_watches(), 0);
    fake_reset();
    return 0;
}

void rig_attach(unsigned domid, unsigned devid)
{
    char back[96], front[96], path[160], number[16];
    static const char *const nodes[][2] = {
        {"online", "1"},         {"dev", "xvda"},
        {"type", "phy"},         {"mode", "w"},
        {"device-type", "disk"}, {"params", "null:1M"},
        {"removable", "0"},      {"script", "/etc/xen/scripts/block-blkbackd"},
    };

    snprintf(back, sizeof(back), "backend/vbd/%u/%u", domid, devid);
    snprintf(front, sizeof(front), "/local/domain/%u/device/vbd/%u", domid, devid);
    snprintf(path, sizeof(path), "%s/state", front);
    fake_put(path, "1");
    snprintf(path, sizeof(path), "%s/frontend", back);
    fake_put(path, front);
    snprintf(path, sizeof(path), "%s/frontend-id", back);
    snprintf(number, sizeof(number), "%u", domid);
    fake_put(path, number);
    for (unsigned i = 0; i < COUNT(nodes); i++) {
        snprintf(path, sizeof(path), "%s/%s", back, nodes[i][0]);
        fake_put(path, nodes[i][1]);
    }
    snprintf(path, sizeof(path), "%s/state", back);
    fake_put(path, "1");
}

void rig_target(const char *target)
{
    fake_put(RIG_BACK "/physical-device-path", target);
}

void rig_front_nodes(void)
{
    fake_put(RIG_FRONT "/event-channel", "7");
    fake_put(RIG_FRONT "/ring-ref", "8");
    fake_put(RIG_FRONT "/protocol", "x86_64-abi");
    fake_put(RIG_FRONT "/feature-persistent", "1");
}

void rig_front(const char *state)
{
    fake_put(RIG_FRONT "/state", state);
}

void rig_connect(void)
{
    rig_attach(3, RIG_DEVID);
    rig_target("null:1M");
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    rig_front("4");
    rig_run();
}

int rig_ours(void)
{
    bool there;
    const char *text = fake_get(RIG_BACK "/state", &there);

    return there && text[0] && !text[1] ? text[0] - '0' : -1;
}

struct vbd *rig_vbd(void)
{
    struct xb_id id = {.domid = 3, .devid = RIG_DEVID};
    struct xb_device *dev = bus_find(&rig.bus, &id);

    return dev ? vbd_of(dev) : NULL;
}

const char *rig_error(void)
{
    return fake_get("error/" RIG_BACK "/error", NULL);
}
