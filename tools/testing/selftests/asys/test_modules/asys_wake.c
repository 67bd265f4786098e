// SPDX-License-Identifier: GPL-2.0
/*
 * Wake-ups in vain: a task whose id is written to the parameter "pid" is woken,
 * by one who neither knows what it sleeps for nor which of its contexts does.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

static int wake_pid(const char *val, const struct kernel_param *kp)
{
	struct task_struct *p;
	struct pid *pid;
	int nr, err;

	err = kstrtoint(val, 0, &nr);
	if (err)
		return err;
	pid = find_get_pid(nr);
	p = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!p)
		return -ESRCH;
	wake_up_process(p);
	put_task_struct(p);
	return 0;
}

static const struct kernel_param_ops pid_ops = {
	.set = wake_pid,
};

module_param_cb(pid, &pid_ops, NULL, 0200);
MODULE_PARM_DESC(pid, "task to wake");
MODULE_DESCRIPTION("Test of asynchronous system calls with wake-ups in vain");
MODULE_LICENSE("GPL");
